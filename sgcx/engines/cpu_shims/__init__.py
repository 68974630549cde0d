"""Packages that let SGLang's text server be imported on a machine without a GPU.

They are never imported from here. The engine's Python finds them as top-level packages, because the overlay
(`sgcx.environments.overlay`) links them into a folder that stands before site-packages.
"""
