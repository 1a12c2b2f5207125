//! Pure: WebSocket frames (RFC 6455), client frames in and server frames out. No extension is negotiated.
#![deny(clippy::disallowed_methods)]

use crate::close::CloseReason;

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A whole text message.
    Text(String),
    /// To be answered by a pong with the same payload, at most 125 bytes.
    Ping(Vec<u8>),
    /// Answer to a ping.
    Pong,
    /// The client is leaving.
    Close,
}

/// Kinds of server frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    /// A whole text message.
    Text = 0x1,
    /// The last frame of a connection.
    Close = 0x8,
    /// To be answered.
    Ping = 0x9,
    /// An answer.
    Pong = 0xA,
}

/// Longest payload of a control frame (RFC 6455, 5.5).
const CONTROL_LEN_MAX: u64 = 125;

/// Reads client frames from any split of their bytes. Between messages it holds nothing on the heap.
///
/// Call [`Reader::handle_bytes`] with what the socket gave, then [`Reader::poll_event`] until it has no
/// more; after an error the connection must close.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: Option<Box<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What has come and is not taken apart yet; at most one frame and one read.
    bytes: Vec<u8>,
    /// How much of `bytes` is done.
    at: usize,
    /// The fragments of an unfinished text message.
    message: Option<Vec<u8>>,
    /// When the first byte of what is not taken apart came, in milliseconds; when the last did.
    began_ms: u64,
    came_ms: u64,
    /// All that is whole has been taken, and something is left.
    unfinished: bool,
}

/// A frame's header, read and checked.
struct Header {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Where the payload begins, from the start of the frame.
    payload_at: usize,
    payload_len: usize,
}

impl Reader {
    /// Takes what the socket gave.
    pub(crate) fn handle_bytes(&mut self, now_ms: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let state = self.state.get_or_insert_with(|| {
            let began_ms = now_ms;
            Box::new(State {
                began_ms,
                ..State::default()
            })
        });
        state.came_ms = now_ms;
        state.bytes.drain(..state.at);
        state.at = 0;
        state.bytes.extend_from_slice(bytes);
    }

    /// The next thing that the client said, if it is there in whole. A message may have `message_max` bytes.
    ///
    /// # Errors
    /// The reason to close for, when the bytes break the protocol or the limit.
    pub(crate) fn poll_event(&mut self, message_max: usize) -> Result<Option<Event>, CloseReason> {
        let Some(state) = &mut self.state else {
            return Ok(None);
        };
        let event = state.poll_event(message_max)?;
        state.unfinished = event.is_none();
        // A control frame may stand between the fragments of a message, and finishes nothing.
        if event.is_some() && state.message.is_none() {
            state.began_ms = state.came_ms;
        }
        if event.is_none() && state.at == state.bytes.len() && state.message.is_none() {
            self.state = None;
        }
        Ok(event)
    }

    /// Since when a frame or message has been unfinished, in milliseconds.
    pub(crate) fn unfinished_since_ms(&self) -> Option<u64> {
        let state = self.state.as_ref()?;
        state.unfinished.then_some(state.began_ms)
    }
}

impl State {
    fn poll_event(&mut self, message_max: usize) -> Result<Option<Event>, CloseReason> {
        while let Some((header, payload)) = self.next_frame(message_max)? {
            let event = match header.opcode {
                0x0 | 0x1 => self.handle_data(&header, payload)?,
                0x8 => Some(read_close(&payload)?),
                0x9 => Some(Event::Ping(payload)),
                _ => Some(Event::Pong),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn next_frame(&mut self, message_max: usize) -> Result<Option<(Header, Vec<u8>)>, CloseReason> {
        let rest = &self.bytes[self.at..];
        let begun = self.message.as_ref().map(Vec::len);
        let Some(header) = read_header(rest, begun, message_max)? else {
            return Ok(None);
        };
        let end = header.payload_at + header.payload_len;
        let Some(masked) = rest.get(header.payload_at..end) else {
            return Ok(None);
        };
        let payload = masked
            .iter()
            .zip(header.mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask)
            .collect();
        self.at += end;
        Ok(Some((header, payload)))
    }

    fn handle_data(
        &mut self,
        header: &Header,
        payload: Vec<u8>,
    ) -> Result<Option<Event>, CloseReason> {
        let message = match self.message.take() {
            Some(mut message) => {
                message.extend_from_slice(&payload);
                message
            }
            None => payload,
        };
        if !header.fin {
            self.message = Some(message);
            return Ok(None);
        }
        let text = String::from_utf8(message).map_err(|_| CloseReason::NotUtf8)?;
        Ok(Some(Event::Text(text)))
    }
}

/// Reads a frame's header as soon as its bytes are there, and refuses it before its payload comes. `begun`
/// is the length so far of an unfinished message.
fn read_header(
    bytes: &[u8],
    begun: Option<usize>,
    message_max: usize,
) -> Result<Option<Header>, CloseReason> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0F);
    let len7 = u64::from(second & 0x7F);
    check_kind(*first, *second, begun.is_some())?;
    let (len, len_bytes) = match len7 {
        126 => match rest.first_chunk::<2>() {
            Some(len) => (u64::from(u16::from_be_bytes(*len)), 2),
            None => return Ok(None),
        },
        127 => match rest.first_chunk::<8>() {
            Some(len) => (u64::from_be_bytes(*len), 8),
            None => return Ok(None),
        },
        _ => (len7, 0),
    };
    // The shortest form is the only one (5.2), and the top bit of a 64-bit length is zero.
    let shortest = match len_bytes {
        2 => len > 125,
        8 => len > u64::from(u16::MAX) && len >> 63 == 0,
        _ => true,
    };
    if !shortest {
        return Err(CloseReason::Protocol);
    }
    let payload_len = usize::try_from(len).unwrap_or(usize::MAX);
    let so_far = if opcode < 0x8 { begun.unwrap_or(0) } else { 0 };
    if payload_len > message_max.saturating_sub(so_far) && opcode < 0x8 {
        return Err(CloseReason::TooBig);
    }
    let Some(mask) = rest[len_bytes..].first_chunk::<4>() else {
        return Ok(None);
    };
    Ok(Some(Header {
        fin,
        opcode,
        mask: *mask,
        payload_at: 2 + len_bytes + 4,
        payload_len,
    }))
}

/// What the first two bytes alone can break.
fn check_kind(first: u8, second: u8, in_message: bool) -> Result<(), CloseReason> {
    let (fin, rsv, opcode) = (first & 0x80 != 0, first & 0x70, first & 0x0F);
    let masked = second & 0x80 != 0;
    if rsv != 0 || !masked {
        return Err(CloseReason::Protocol);
    }
    let fits = match opcode {
        0x0 => in_message,
        0x1 | 0x2 => !in_message,
        0x8..=0xA => fin && u64::from(second & 0x7F) <= CONTROL_LEN_MAX,
        _ => false,
    };
    match (fits, opcode) {
        (false, _) => Err(CloseReason::Protocol),
        (true, 0x2) => Err(CloseReason::Binary),
        (true, _) => Ok(()),
    }
}

fn read_close(payload: &[u8]) -> Result<Event, CloseReason> {
    match payload {
        [] => Ok(Event::Close),
        [_] => Err(CloseReason::Protocol),
        [high, low, reason @ ..] => {
            // The codes that may be sent: RFC 6455, 7.4, and the IANA registry that it opened.
            match u16::from_be_bytes([*high, *low]) {
                1000..=1003 | 1007..=1014 | 3000..=4999 => {}
                _ => return Err(CloseReason::Protocol),
            }
            match std::str::from_utf8(reason) {
                Ok(_) => Ok(Event::Close),
                Err(_) => Err(CloseReason::NotUtf8),
            }
        }
    }
}

/// Appends the header of an unfragmented server frame whose payload has `len` bytes.
pub(crate) fn write_header(out: &mut Vec<u8>, opcode: Opcode, len: usize) {
    out.push(0x80 | opcode as u8);
    if let Ok(len) = u8::try_from(len)
        && u64::from(len) <= CONTROL_LEN_MAX
    {
        out.push(len);
    } else if let Ok(len) = u16::try_from(len) {
        out.push(126);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(127);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

/// Appends a close frame with the reason's code and word.
pub(crate) fn write_close(out: &mut Vec<u8>, reason: CloseReason) {
    let label = reason.label().as_bytes();
    write_header(out, Opcode::Close, 2 + label.len());
    out.extend_from_slice(&reason.code().to_be_bytes());
    out.extend_from_slice(label);
}

#[cfg(test)]
mod tests;
