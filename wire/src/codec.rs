// Pure: the bar's JSON text. Fields stand in the contract's order; every word in it is a checked one that
// needs no escaping, so that writing is plain appending.
use serde::Deserialize;

use crate::amount::Decimal;
use crate::bar::BarError;
use crate::{
    Bar, Candle, Completeness, Instrument, Interval, Price, Quote, Size, Symbol, Topic, Venue,
};

/// Room for a bar's text; the usual one has some 500 bytes.
const TEXT_LEN_TYPICAL: usize = 640;

impl Bar {
    /// The bar's text, one JSON object without a line end.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TEXT_LEN_TYPICAL);
        self.encode_to(&mut out);
        out
    }

    /// Appends the bar's text.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"op\":\"bar\",\"topic\":\"");
        self.topic.write_to(out);
        self.encode_from_venue(out);
    }

    /// Appends the bar's text under another name of its topic: the long one where the bar carries the short.
    pub fn encode_as(&self, topic: &Topic, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"op\":\"bar\",\"topic\":\"");
        topic.write_to(out);
        self.encode_from_venue(out);
    }

    fn encode_from_venue(&self, out: &mut Vec<u8>) {
        let candle = &self.candle;
        text(out, "\",\"venue\":\"", self.instrument.venue.as_str());
        text(out, "\",\"symbol\":\"", self.instrument.symbol.as_str());
        out.extend_from_slice(b"\",\"interval\":\"");
        self.interval.write_to(out);
        signed(out, "\",\"start\":", self.start_ms);
        signed(out, ",\"end\":", self.end_ms());
        amount(out, ",\"open\":\"", candle.open);
        amount(out, ",\"high\":\"", candle.high);
        amount(out, ",\"low\":\"", candle.low);
        amount(out, ",\"close\":\"", candle.close);
        amount(out, ",\"volume\":\"", candle.volume);
        amount(out, ",\"quote_volume\":\"", candle.quote_volume);
        amount(out, ",\"taker_buy_volume\":\"", candle.taker_buy_volume);
        amount(
            out,
            ",\"taker_buy_quote_volume\":\"",
            candle.taker_buy_quote_volume,
        );
        unsigned(out, ",\"count\":", candle.count);
        id(out, ",\"first_id\":", candle.first_id());
        id(out, ",\"last_id\":", candle.last_id());
        out.extend_from_slice(if self.closed {
            b",\"closed\":true"
        } else {
            b",\"closed\":false"
        });
        unsigned(out, ",\"rev\":", u64::from(self.rev));
        text(out, ",\"completeness\":\"", self.completeness.as_str());
        unsigned(out, "\",\"close_no\":", self.close_no);
        unsigned(out, ",\"epoch\":", self.epoch);
        unsigned(out, ",\"seq\":", self.seq);
        signed(out, ",\"event_time\":", self.event_time_ms);
        signed(out, ",\"publish_time\":", self.publish_time_ms);
        out.push(b'}');
    }

    /// Reads a bar's text. Fields that this release does not know are ignored, so that a newer one may add some.
    ///
    /// # Errors
    /// When it is not JSON, not a bar, or contradicts itself.
    pub fn decode(text: &[u8]) -> Result<Self, BarError> {
        let fields: Fields = serde_json::from_slice(text)?;
        if fields.op != "bar" {
            return Err(BarError::op(&fields.op));
        }
        let ids = match (fields.first_id, fields.last_id) {
            (Some(first), Some(last)) => Some((first, last)),
            (None, None) => None,
            _ => return Err(BarError::Contradiction("one id without the other")),
        };
        let bar = Self {
            topic: fields.topic,
            instrument: Instrument::new(fields.venue, fields.symbol),
            interval: fields.interval,
            start_ms: fields.start,
            candle: Candle {
                open: fields.open,
                high: fields.high,
                low: fields.low,
                close: fields.close,
                volume: fields.volume,
                quote_volume: fields.quote_volume,
                taker_buy_volume: fields.taker_buy_volume,
                taker_buy_quote_volume: fields.taker_buy_quote_volume,
                count: fields.count,
                ids,
            },
            closed: fields.closed,
            rev: fields.rev,
            completeness: fields.completeness,
            close_no: fields.close_no,
            epoch: fields.epoch,
            seq: fields.seq,
            event_time_ms: fields.event_time,
            publish_time_ms: fields.publish_time,
        };
        if fields.start.checked_add(fields.interval.ms()) != Some(fields.end) {
            return Err(BarError::Contradiction("end is not start plus interval"));
        }
        bar.check()
    }
}

#[derive(Deserialize)]
struct Fields {
    op: String,
    topic: Topic,
    venue: Venue,
    symbol: Symbol,
    interval: Interval,
    start: i64,
    end: i64,
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    volume: Size,
    quote_volume: Quote,
    taker_buy_volume: Size,
    taker_buy_quote_volume: Quote,
    count: u64,
    first_id: Option<u64>,
    last_id: Option<u64>,
    closed: bool,
    rev: u32,
    completeness: Completeness,
    close_no: u64,
    epoch: u64,
    seq: u64,
    event_time: i64,
    publish_time: i64,
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn amount<const SCALE: u32>(out: &mut Vec<u8>, name: &str, value: Decimal<SCALE>) {
    out.extend_from_slice(name.as_bytes());
    value.write_to(out);
    out.push(b'"');
}

fn id(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    match value {
        Some(value) => unsigned(out, name, value),
        None => text(out, name, "null"),
    }
}

fn signed(out: &mut Vec<u8>, name: &str, value: i64) {
    out.extend_from_slice(name.as_bytes());
    if value < 0 {
        out.push(b'-');
    }
    write_u64(out, value.unsigned_abs());
}

fn unsigned(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    write_u64(out, value);
}

pub(crate) fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&buffer[at..]);
}
