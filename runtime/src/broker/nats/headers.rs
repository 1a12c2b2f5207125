// Pure: the headers of a bar's message. The only place that writes and reads them.
#![deny(clippy::disallowed_methods)]

use async_nats::HeaderMap;

use crate::broker::BarMessage;

/// The headers that a bar travels with: none for most, since headers on every message cost more than half of the
/// throughput.
pub(super) fn of_bar(_message: &BarMessage) -> Option<HeaderMap> {
    None
}
