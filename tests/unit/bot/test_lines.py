"""A file is read in batches, whatever its lines are."""

from __future__ import annotations

import io

from bot.lines import BATCH_LINES, LONGEST_LINE, Meter, read_lines


async def read(data: bytes, meter: Meter | None = None) -> list[list[bytes]]:
    return [batch async for batch in read_lines(io.BytesIO(data), meter)]


class TestReading:
    async def test_lines_come_in_batches(self) -> None:
        batches = await read(b"x\n" * (BATCH_LINES + 1))

        assert [len(batch) for batch in batches] == [BATCH_LINES, 1]

    async def test_an_empty_file_has_no_batch(self) -> None:
        assert await read(b"") == []

    async def test_a_last_line_without_an_end_counts(self) -> None:
        assert await read(b"a\nb") == [[b"a\n", b"b"]]

    async def test_a_line_that_is_too_long_is_cut_and_the_next_one_is_whole(self) -> None:
        [batch, rest] = await read(b"x" * (LONGEST_LINE + (3 << 20)) + b"\nnext\n")

        assert len(batch[0]) == LONGEST_LINE + 1
        assert rest == [b"next\n"]

    async def test_a_line_of_the_greatest_length_swallows_nothing(self) -> None:
        batches = await read(b"x" * LONGEST_LINE + b"\nnext\n")

        assert [one for batch in batches for one in batch][-1] == b"next\n"

    async def test_the_meter_counts_every_byte(self) -> None:
        meter = Meter()
        data = b"a\n" + b"x" * (LONGEST_LINE + 10) + b"\nb\n"

        await read(data, meter)

        assert meter.done == len(data)
