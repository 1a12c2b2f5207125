// Pure: Binance's REST answers.
#![deny(clippy::disallowed_methods)]
