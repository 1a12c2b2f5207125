// Pure: Coinbase Advanced Trade's bytes to events.
#![deny(clippy::disallowed_methods)]

use serde::Deserialize;
use wire::{Side, Trade};

use super::channel::{HEARTBEATS, MARKET_TRADES};
use super::message::{Head, MarketTrade, MarketTrades, Subscriptions};
use crate::venue::json::{Text, find_text, need, price, size, time_ms, words};
use crate::venue::{DecodeError, Event, Harm, InstrumentIndex, Reason, Sink, Symbols};

/// Takes one frame apart. See [`crate::venue::Venue::decode`].
pub(super) fn decode(
    symbols: &Symbols,
    frame: &[u8],
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    let head: Head<'_> = read(symbols, frame)?;
    if let Some(number) = head.sequence_num {
        out.handle_event(Event::Sequence { number });
    }
    match head.channel.as_ref().map(Text::as_str) {
        Some(MARKET_TRADES) => decode_trades(symbols, frame, venue_time(&head, Harm::Any)?, out),
        Some(HEARTBEATS) => {
            let venue_ms = venue_time(&head, Harm::None)?;
            out.handle_event(Event::Clock { venue_ms });
            Ok(())
        }
        Some("subscriptions") => decode_subscriptions(symbols, frame, out),
        None if head
            .kind
            .as_ref()
            .is_some_and(|kind| kind.as_str() == "error") =>
        {
            out.handle_event(refusal(symbols, &head));
            Ok(())
        }
        _ => {
            out.handle_event(Event::Ignored);
            Ok(())
        }
    }
}

fn read<'a, T: Deserialize<'a>>(symbols: &Symbols, frame: &'a [u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(frame).map_err(|error| DecodeError {
        reason: error.into(),
        harm: guess(symbols, frame),
    })
}

fn venue_time(head: &Head<'_>, harm: Harm) -> Result<i64, DecodeError> {
    need(head.timestamp.as_ref(), "timestamp")
        .and_then(|time| time_ms(time.as_str()))
        .map_err(|reason| DecodeError { reason, harm })
}

fn decode_trades(
    symbols: &Symbols,
    frame: &[u8],
    event_time_ms: i64,
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    let message: MarketTrades<'_> = read(symbols, frame)?;
    let mut failure = None;
    for event in &message.events {
        let earlier = event.kind.as_str() == "snapshot";
        let mut trades = Vec::with_capacity(event.trades.len());
        for raw in &event.trades {
            match trade(symbols, raw.get()) {
                Ok(found) => trades.push(found),
                Err(error) => failure = worse(failure, error),
            }
        }
        // Newest first as sent; handed on by rising id. A snapshot stays as it is: one whose newest trade is known
        // already says that nothing was missed, and an older one does not.
        trades.sort_by_key(|(instrument, trade)| (*instrument, trade.id));
        if earlier {
            trades.reverse();
        }
        for (instrument, trade) in trades {
            out.handle_event(if earlier {
                Event::Reference { instrument, trade }
            } else {
                Event::Trade {
                    instrument,
                    trade,
                    event_time_ms,
                }
            });
        }
    }
    out.handle_event(Event::Clock {
        venue_ms: event_time_ms,
    });
    failure.map_or(Ok(()), Err)
}

/// Of two failures in one frame, one that accounts for the harm of both.
fn worse(before: Option<DecodeError>, error: DecodeError) -> Option<DecodeError> {
    let Some(before) = before else {
        return Some(error);
    };
    let harm = match (before.harm, error.harm) {
        (Harm::None, other) | (other, Harm::None) => other,
        (one, other) if one == other => one,
        _ => Harm::Any,
    };
    Some(DecodeError { harm, ..error })
}

fn trade(symbols: &Symbols, raw: &str) -> Result<(InstrumentIndex, Trade), DecodeError> {
    let message: MarketTrade<'_> = read(symbols, raw.as_bytes())?;
    let instrument = symbols
        .find(message.product_id.as_str())
        .ok_or(DecodeError {
            reason: Reason::Instrument,
            harm: Harm::None,
        })?;
    let trade = fields(&message).map_err(|reason| DecodeError {
        reason,
        harm: Harm::One(instrument),
    })?;
    Ok((instrument, trade))
}

fn fields(message: &MarketTrade<'_>) -> Result<Trade, Reason> {
    let wrong = |what: &str| Reason::Field(what.to_owned());
    Ok(Trade {
        id: message
            .trade_id
            .as_str()
            .parse()
            .map_err(|_| wrong("trade_id is not a number"))?,
        time_ms: time_ms(message.time.as_str())?,
        price: price(message.price.as_str())?,
        size: size(message.size.as_str())?,
        taker: match message.side.as_str() {
            "SELL" => Side::Buy,
            "BUY" => Side::Sell,
            _ => return Err(wrong("side is neither BUY nor SELL")),
        },
    })
}

fn decode_subscriptions(
    symbols: &Symbols,
    frame: &[u8],
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    let message: Subscriptions<'_> =
        serde_json::from_slice(frame).map_err(|error| DecodeError {
            reason: error.into(),
            harm: Harm::None,
        })?;
    let listed = message
        .events
        .iter()
        .flat_map(|event| &event.subscriptions)
        .filter(|(channel, _)| channel.as_str() == MARKET_TRADES)
        .flat_map(|(_, products)| products);
    for product in listed {
        if let Some(instrument) = symbols.find(product.as_str()) {
            out.handle_event(Event::Subscribed { instrument });
        }
    }
    Ok(())
}

/// The product is named only where the venue's words hold it.
fn refusal(symbols: &Symbols, head: &Head<'_>) -> Event {
    let message = words(head.message.as_ref(), None);
    let named = message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .find_map(|word| symbols.find(word));
    Event::Refused {
        request: None,
        instrument: named,
        message,
    }
}

/// Whose trade an unreadable frame may have held. A frame may hold several products' trades, so that only the
/// text of a single one tells.
fn guess(symbols: &Symbols, frame: &[u8]) -> Harm {
    if frame.first() == Some(&b'{') && find_text(frame, b"\"trades\"", b'[').is_some() {
        return Harm::Any;
    }
    find_text(frame, b"\"product_id\":\"", b'"')
        .and_then(|product| symbols.find(product))
        .map_or(Harm::Any, Harm::One)
}

#[cfg(test)]
mod tests;
