"""The lines of SGLang that sgcx changes: a unified diff each, applied to an installed SGLang and taken back again.

A diff is only ever applied to the exact file it was made for (SHA-256), so the mechanism needs no fuzz and no
backup: an installed file is the published one plus some of our patches, or it is a conflict.
"""
