//! Targets for fuzzing: any bytes, and properties that must hold.
