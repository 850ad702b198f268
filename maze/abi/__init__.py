"""The C boundary: C structs to Python types and back. Nothing outside this folder touches cffi."""
