"""What is made for a release, by the scripts of this folder. Nothing of it is part of the library."""
