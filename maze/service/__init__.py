"""The Maze service: an Orchestrator behind HTTP. Needs the extra `service`."""
