// Pure: faults, when they strike and what they do.
#![deny(clippy::disallowed_methods)]

/// The faults of one venue.
#[derive(Debug, Default)]
pub struct Faults {}
