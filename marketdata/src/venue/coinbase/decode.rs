// Pure: Coinbase Exchange's bytes to events.
#![deny(clippy::disallowed_methods)]

use serde::Deserialize;
use wire::{Side, Trade};

use super::channel::MATCHES;
use super::message::{Head, Heartbeat, Match, Refusal, Subscriptions};
use crate::venue::json::{find_text, price, size, time_ms, words};
use crate::venue::{DecodeError, Event, Harm, InstrumentIndex, Reason, Sink, Symbols};

/// Takes one frame apart. See [`crate::venue::Venue::decode`].
pub(super) fn decode(
    symbols: &Symbols,
    frame: &[u8],
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    let head: Head<'_> = read(symbols, frame)?;
    match head.kind.as_str() {
        "match" => decode_match(symbols, frame, out, false),
        "last_match" => decode_match(symbols, frame, out, true),
        "heartbeat" => decode_heartbeat(symbols, frame, out),
        "subscriptions" => decode_subscriptions(symbols, frame, out),
        "error" => decode_refusal(symbols, frame, out),
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

fn decode_match(
    symbols: &Symbols,
    frame: &[u8],
    out: &mut dyn Sink,
    earlier: bool,
) -> Result<(), DecodeError> {
    let message: Match<'_> = read(symbols, frame)?;
    let instrument = find(symbols, message.product_id.as_str())?;
    let trade = trade(&message).map_err(|reason| DecodeError {
        reason,
        harm: Harm::One(instrument),
    })?;
    out.handle_event(if earlier {
        Event::Reference { instrument, trade }
    } else {
        // The message has one time only: that of the execution.
        Event::Trade {
            instrument,
            event_time_ms: trade.time_ms,
            trade,
        }
    });
    Ok(())
}

fn trade(message: &Match<'_>) -> Result<Trade, Reason> {
    Ok(Trade {
        id: message.trade_id,
        time_ms: time_ms(message.time.as_str())?,
        price: price(message.price.as_str())?,
        size: size(message.size.as_str())?,
        taker: match message.side.as_str() {
            "sell" => Side::Buy,
            "buy" => Side::Sell,
            _ => return Err(Reason::Field("side is neither buy nor sell".to_owned())),
        },
    })
}

fn decode_heartbeat(
    symbols: &Symbols,
    frame: &[u8],
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    // A heartbeat that cannot be read costs no trade: the next one comes in a second.
    let harmless = |reason| DecodeError {
        reason,
        harm: Harm::None,
    };
    let message: Heartbeat<'_> =
        serde_json::from_slice(frame).map_err(|error| harmless(error.into()))?;
    let instrument = find(symbols, message.product_id.as_str())?;
    let venue_ms = time_ms(message.time.as_str()).map_err(harmless)?;
    // First what it says of trades: the clock may close the bar that they belong to.
    out.handle_event(Event::LastTrade {
        instrument,
        trade_id: message.last_trade_id,
        venue_ms,
    });
    out.handle_event(Event::Clock { venue_ms });
    Ok(())
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
        .channels
        .iter()
        .filter(|channel| channel.name.as_str() == MATCHES)
        .flat_map(|channel| &channel.product_ids);
    for product in listed {
        if let Some(instrument) = symbols.find(product.as_str()) {
            out.handle_event(Event::Subscribed { instrument });
        }
    }
    Ok(())
}

fn decode_refusal(symbols: &Symbols, frame: &[u8], out: &mut dyn Sink) -> Result<(), DecodeError> {
    let message: Refusal<'_> = read(symbols, frame)?;
    // "GIBBERISH-USD is not a valid product"
    let named = message
        .reason
        .as_ref()
        .and_then(|reason| reason.as_str().split(' ').next())
        .and_then(|product| symbols.find(product));
    out.handle_event(Event::Refused {
        request: None,
        instrument: named,
        message: words(message.message.as_ref(), message.reason.as_ref()),
    });
    Ok(())
}

fn find(symbols: &Symbols, product: &str) -> Result<InstrumentIndex, DecodeError> {
    symbols.find(product).ok_or(DecodeError {
        reason: Reason::Instrument,
        harm: Harm::None,
    })
}

/// Whose trade an unreadable frame may have held.
fn guess(symbols: &Symbols, frame: &[u8]) -> Harm {
    find_text(frame, b"\"product_id\":\"", b'"')
        .and_then(|product| symbols.find(product))
        .map_or(Harm::Any, Harm::One)
}

#[cfg(test)]
mod tests;
