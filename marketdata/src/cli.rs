//! Commands of `marketfeed-marketdata` beside the service itself.

/// `marketfeed-marketdata assign`: writes an assignment where no operator does.
pub mod assign;
