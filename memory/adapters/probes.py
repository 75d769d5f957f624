"""Texts that the quick arithmetic is tried on at each load: what rooms hold, from a word to a full window.

Where bfloat16 (or what comes after it) would bend a vector, it does so on odd inputs first: single tokens, repetition,
other scripts, code, lists of numbers, texts as long as the model takes.
"""

from __future__ import annotations

from typing import Final

_REPORT: Final = (
    "We went through all nine hives on Saturday. Hive 1 is strong, eight frames of brood and a young queen; hive "
    "2 lost its queen in the cold week and we united it with hive 3 over a sheet of newspaper. In hive 4 there "
    "were three sealed queen cells, so Dariusz split it and took half to the orchard. The scale says 41.5 kg, 2.3 "
    "more than last week, mostly from the lime trees. Varroa: 6 mites in 300 bees, below the line of 9, so no "
    "treatment before August. "
)
_LOG: Final = (
    "2026-05-12T16:04:07Z ERROR worker-3 job=digest attempt=4/5 took=1831ms status=503 retry_after=30 "
    "host=db-07.internal:5432 trace=9f1c-77aa-02be "
)

PROBES: Final = (
    "ok",
    "👍",
    "?",
    "yes, exactly",
    "Mm-hmm .",
    "lol 😂😂😂",
    "!!!!!!!!!!!!",
    "a",
    "Thanks everybody, see you on Tuesday!",
    "Who moved the hives to the orchard?",
    "What did Ana say about the extractor, and when was it?",
    "The budget was approved on 3 March, after a long discussion about the new extractor.",
    "I don't think that we should sell the old smoker; it is the only one that works when it rains.",
    "THE GATE MUST BE CLOSED AT NIGHT",
    "@ben can you bring 12 frames and 2.5 kg of sugar on 2026-05-12 at 16:30?",
    "error: cannot open /var/lib/data.db (errno 13), see https://example.org/help#permissions",
    "def weight(self, hive: int) -> float: return sum(f.kg for f in self.frames[hive]) or 0.0",
    "SELECT room, COUNT(*) FROM messages WHERE sent_at > '2026-01-01' GROUP BY room ORDER BY 2 DESC;",
    '{"id": 7, "tags": ["urgent", "hive-4"], "done": false, "due": null}',
    "v1.2.3 → v2.0.0-rc.1 (#4711)",
    "3.14159 2.71828 1.41421 1.73205 0.57721 6.02214e23",
    "+48 600 123 456",
    "The quick brown fox jumps over the lazy dog.",
    "Königin gezeichnet, Brut in allen Stadien, keine Weiselzellen gesehen.",
    "La réunion est reportée à jeudi, à cause de la pluie.",
    "Пчёлы вернулись, матка на месте.",
    "蜂の巣を果樹園に移しました。",
    "نقلنا الخلايا إلى البستان أمس",
    "मधुमक्खियाँ कल वापस आईं",
    "[SEP] [CLS] [MASK] [PAD]",
    "the the the the the the the the the the the the the the the the",
    "word " * 120,
    "0 1 " * 100,
    _REPORT,
    _REPORT * 2,
    _LOG * 3,
    "Frank: no. Grace: why not? " * 20,
)
