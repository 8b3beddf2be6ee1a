//! A project that gets another name takes its tree and its history with it.
