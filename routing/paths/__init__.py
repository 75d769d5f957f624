"""Which kinds of connection lead to evidence: Q-learning over paths in a room's graph.

``abstract`` states and actions · ``qlearning`` the learning rules · ``evidence`` what votes say about paths ·
``weights`` log-linear weights with Q as their prior · ``utility`` similarity and utility in one order · ``updates`` the
batch update on NumPy and torch · ``cache`` the mapped file · ``snapshots`` the owner in SQL · ``learner`` all of it
for every team · ``finding`` paths of one question.
"""
