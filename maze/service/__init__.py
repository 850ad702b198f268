"""The Maze service: any Backend behind HTTP. Needs the extra `service`."""
