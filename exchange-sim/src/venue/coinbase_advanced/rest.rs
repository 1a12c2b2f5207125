// Pure: Coinbase Advanced Trade's REST answers: its trades are the Exchange's, by the Exchange's REST interface.
#![deny(clippy::disallowed_methods)]

pub(crate) use crate::venue::coinbase::rest::{answer, refuse};
