//! The program as a person or a script calls it: flags, exit status, formats.
