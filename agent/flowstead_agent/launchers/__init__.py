"""Launchers start flow runs on a platform and say how they ended; one module (or family of modules) per platform.

A launcher implements `flowstead_agent.launchers.protocol.Launcher` and knows neither loops nor the API: it is given a
claimed run and an environment, and raises `LaunchError` when the run cannot be started.
"""
