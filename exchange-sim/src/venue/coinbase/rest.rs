// Pure: Coinbase Exchange's REST answers.
#![deny(clippy::disallowed_methods)]
