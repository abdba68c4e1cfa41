"""Reconciliation: does everything that was accepted exist everywhere it must, once?"""
