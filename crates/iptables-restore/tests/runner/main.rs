//! Finding and running the tools, with stand-ins that behave as told. The real tools are met in `tests/kernel`.

mod finding;
mod process;
mod restoring;
mod saving;
mod stand_ins;
