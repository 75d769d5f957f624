"""Conversations that every chat platform must get right, written as chats, and what plays them."""
