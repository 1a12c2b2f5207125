//! One connection: its socket, its cores, and at most one frame that has not left in whole.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

use crate::close::CloseReason;
use crate::frame::{self, Event, Opcode, Reader};
use crate::hub::{ConnId, Hub};
use crate::liveness::{Due, Liveness};
use crate::native::{REPLIES_LEN_MAX, Session};
use crate::outbox::{Batch, Outbox};
use crate::seats::Seat;
use crate::shard::Limits;
use crate::traced::Traced;

/// A connection between turns. What is rare is boxed: most connections are idle most of the time.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) socket: TcpStream,
    /// Its number in the logs.
    pub(crate) id: u64,
    pub(crate) outbox: Outbox,
    pub(crate) liveness: Liveness,
    /// The deadline under which the shard has it, in milliseconds.
    pub(crate) deadline_ms: Option<u64>,
    /// The shard will visit it in this pass.
    pub(crate) queued: bool,
    readable: bool,
    writable: bool,
    ping_due: bool,
    /// Payload of the last ping that has no pong yet: only the last needs one (RFC 6455, 5.5.3).
    pong_due: Option<Box<[u8]>>,
    reader: Reader,
    unsent: Option<Box<Unsent>>,
    closing: Option<Closing>,
    _seat: Seat,
}

/// The rest of a write that the kernel did not take.
#[derive(Debug)]
struct Unsent {
    bytes: Vec<u8>,
    at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Closing {
    reason: CloseReason,
    /// The close frame has been composed.
    composed: bool,
    /// The client has said that it closes: nothing more is to be waited for.
    heard: bool,
}

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing to do until the socket, the hub or the clock says so.
    Wait,
    /// Its share of this pass is used up; there is more.
    Again,
    /// Over.
    Ended(CloseReason),
}

/// What a shard lends to the connection whose turn it is.
pub(crate) struct Work {
    pub(crate) limits: Limits,
    pub(crate) now_ms: u64,
    pub(crate) sent: Sent,
    /// How long frames were stuck that have left, in milliseconds.
    pub(crate) write_lags_ms: Vec<u64>,
    /// How long pongs took that have come, in milliseconds.
    pub(crate) pong_ages_ms: Vec<u64>,
    pub(crate) traced: Traced,
    pub(crate) batch: Batch,
    out: Vec<u8>,
    input: Box<[u8]>,
}

/// Counts of one pass.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
    pub(crate) messages: u64,
    pub(crate) conflated: u64,
    pub(crate) replayed: u64,
    pub(crate) missed: u64,
}

/// Reads of one turn, so that a client that floods waits for the others.
const READS_PER_TURN: usize = 2;
/// Messages of one turn, for the same reason.
const EVENTS_PER_TURN: usize = 64;
/// Writes of one turn, for the same reason.
const WRITES_PER_TURN: usize = 4;
/// Bytes of one read.
const READ_LEN: usize = 16 * 1024;

impl Work {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now_ms: 0,
            sent: Sent::default(),
            write_lags_ms: Vec::new(),
            pong_ages_ms: Vec::new(),
            traced: Traced::default(),
            batch: Batch::default(),
            out: Vec::with_capacity(limits.frame_len_max + 64),
            input: vec![0; READ_LEN].into_boxed_slice(),
        }
    }
}

impl Conn {
    /// A connection whose handshake is done. `jitter_ms` delays its first ping.
    pub(crate) fn new(socket: TcpStream, id: u64, seat: Seat, now_ms: u64, jitter_ms: u64) -> Self {
        Self {
            socket,
            id,
            outbox: Outbox::default(),
            liveness: Liveness::new(now_ms, jitter_ms),
            deadline_ms: None,
            queued: false,
            readable: true,
            writable: true,
            ping_due: false,
            pong_due: None,
            reader: Reader::default(),
            unsent: None,
            closing: None,
            _seat: seat,
        }
    }

    /// What the client sent right behind its handshake.
    pub(crate) fn handle_leftover(&mut self, now_ms: u64, bytes: &[u8]) {
        self.reader.handle_bytes(now_ms, bytes);
    }

    /// What the socket is ready for, until it says otherwise.
    pub(crate) fn handle_ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Its deadline has come; true if it is over.
    pub(crate) fn handle_due(&mut self, work: &Work) -> Option<CloseReason> {
        let unfinished = self.reader.unfinished_since_ms();
        match self
            .liveness
            .poll(work.now_ms, &work.limits.liveness, unfinished)
        {
            Due::Nothing => None,
            Due::Ping => {
                self.ping_due = true;
                None
            }
            Due::Close(reason) => {
                self.close(reason, work.now_ms);
                None
            }
            Due::Cut => Some(self.reason()),
        }
    }

    /// When it wants to be looked at without being asked.
    pub(crate) fn next_ms(&self, limits: &Limits) -> u64 {
        self.liveness
            .deadline_ms(&limits.liveness, self.reader.unfinished_since_ms())
    }

    /// Reads, answers and writes what it can.
    pub(crate) fn turn(&mut self, key: ConnId, hub: &mut Hub, work: &mut Work) -> Turn {
        let read = match self.read(key, hub, work) {
            Ok(turn) => turn,
            Err(_) => return Turn::Ended(self.reason()),
        };
        if let Turn::Ended(_) = read {
            return read;
        }
        let full = self.outbox.replies_len() >= REPLIES_LEN_MAX;
        let write = match self.write(hub, work) {
            Ok(turn) => turn,
            Err(_) => return Turn::Ended(self.reason()),
        };
        // Reading stopped because replies had piled up, and they have left: go on.
        let resumed = full && self.outbox.replies_len() < REPLIES_LEN_MAX;
        match write {
            Turn::Wait if read == Turn::Again || resumed => Turn::Again,
            write => write,
        }
    }

    fn reason(&self) -> CloseReason {
        self.closing
            .map_or(CloseReason::Gone, |closing| closing.reason)
    }

    fn close(&mut self, reason: CloseReason, now_ms: u64) {
        if self.closing.is_none() {
            self.closing = Some(Closing {
                reason,
                composed: false,
                heard: reason == CloseReason::Client,
            });
            self.liveness.handle_closing(now_ms);
        }
    }

    fn read(&mut self, key: ConnId, hub: &mut Hub, work: &mut Work) -> io::Result<Turn> {
        let mut events = EVENTS_PER_TURN;
        for _ in 0..READS_PER_TURN {
            if !self.take_apart(key, hub, work, &mut events) {
                return Ok(Turn::Again);
            }
            if !self.readable || self.outbox.replies_len() >= REPLIES_LEN_MAX {
                return Ok(Turn::Wait);
            }
            match self.socket.read(&mut work.input) {
                Ok(0) => return Ok(self.handle_end()),
                Ok(len) if self.closing.is_none() => {
                    self.reader.handle_bytes(work.now_ms, &work.input[..len]);
                }
                // Read away, so that the kernel does not answer with a reset, which could overtake the close frame.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Turn::Again)
    }

    /// The client says no more. One that said goodbye just before still gets the answer, and then the end.
    fn handle_end(&mut self) -> Turn {
        match &mut self.closing {
            Some(closing) if !closing.composed => {
                closing.heard = true;
                self.readable = false;
                Turn::Wait
            }
            _ => Turn::Ended(self.reason()),
        }
    }

    /// Handles what the reader has; false if the turn's share ran out first.
    fn take_apart(
        &mut self,
        key: ConnId,
        hub: &mut Hub,
        work: &mut Work,
        events: &mut usize,
    ) -> bool {
        while self.closing.is_none() && self.outbox.replies_len() < REPLIES_LEN_MAX {
            if *events == 0 {
                return false;
            }
            match self.reader.poll_event(work.limits.message_len_max) {
                Ok(None) => return true,
                Ok(Some(event)) => self.handle_event(key, hub, work, event),
                Err(reason) => self.close(reason, work.now_ms),
            }
            *events -= 1;
        }
        true
    }

    fn handle_event(&mut self, key: ConnId, hub: &mut Hub, work: &mut Work, event: Event) {
        match event {
            Event::Text(text) => Session {
                conn: key,
                hub,
                outbox: &mut self.outbox,
                limits: work.limits.native,
            }
            .handle_text(&text),
            Event::Ping(payload) => self.pong_due = Some(payload.into_boxed_slice()),
            Event::Pong => {
                let age_ms = self.liveness.handle_pong(work.now_ms);
                work.pong_ages_ms.extend(age_ms);
            }
            Event::Close => self.close(CloseReason::Client, work.now_ms),
        }
    }

    fn write(&mut self, hub: &mut Hub, work: &mut Work) -> io::Result<Turn> {
        for _ in 0..WRITES_PER_TURN {
            if !self.writable {
                return Ok(Turn::Wait);
            }
            if self.unsent.is_some() {
                self.write_unsent(work)?;
                continue;
            }
            if let Some(Closing {
                reason,
                composed: true,
                heard,
            }) = self.closing
            {
                if heard {
                    return Ok(Turn::Ended(reason));
                }
                // The client sees the close frame and the end behind it; its own end is then read.
                self.socket.shutdown(Shutdown::Write)?;
                self.writable = false;
                return Ok(Turn::Wait);
            }
            self.compose(hub, work);
            if work.out.is_empty() {
                return Ok(Turn::Wait);
            }
            self.write_composed(work)?;
        }
        Ok(Turn::Again)
    }

    fn write_unsent(&mut self, work: &mut Work) -> io::Result<()> {
        let Some(unsent) = &mut self.unsent else {
            return Ok(());
        };
        match self.socket.write(&unsent.bytes[unsent.at..]) {
            Ok(len) => {
                work.sent.bytes += len as u64;
                unsent.at += len;
                if unsent.at == unsent.bytes.len() {
                    self.unsent = None;
                    let lag_ms = self.liveness.handle_unstuck(work.now_ms);
                    work.write_lags_ms.extend(lag_ms);
                }
                Ok(())
            }
            Err(error) => self.handle_refused(error),
        }
    }

    fn write_composed(&mut self, work: &mut Work) -> io::Result<()> {
        let at = match self.socket.write(&work.out) {
            Ok(len) => len,
            Err(error) => {
                self.handle_refused(error)?;
                0
            }
        };
        work.sent.bytes += at as u64;
        if !work.traced.is_empty() {
            let texts = &work.batch.texts;
            work.traced.handle_written(self.id, texts, at == 0);
        }
        if at < work.out.len() {
            let bytes = work.out[at..].to_vec();
            self.unsent = Some(Box::new(Unsent { bytes, at: 0 }));
            self.liveness.handle_stuck(work.now_ms);
        }
        Ok(())
    }

    fn handle_refused(&mut self, error: io::Error) -> io::Result<()> {
        match error.kind() {
            ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(())
            }
            ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }

    /// Puts the frames that are due into `work.out`: control frames, then one text frame; or the close.
    fn compose(&mut self, hub: &mut Hub, work: &mut Work) {
        work.out.clear();
        work.batch.clear();
        if let Some(payload) = self.pong_due.take() {
            frame::write_header(&mut work.out, Opcode::Pong, payload.len());
            work.out.extend_from_slice(&payload);
            work.sent.frames += 1;
        }
        if std::mem::take(&mut self.ping_due) {
            frame::write_header(&mut work.out, Opcode::Ping, 0);
            work.sent.frames += 1;
        }
        // A client that breaks the protocol gets nothing more; one that is sent away first
        // gets what it is owed, in as many frames as that takes, as far as the wait for its close allows.
        if self
            .closing
            .is_none_or(|closing| closing.reason == CloseReason::Drain)
        {
            self.compose_texts(hub, work);
        }
        if let Some(closing) = &mut self.closing
            && (closing.reason != CloseReason::Drain || self.outbox.is_empty())
        {
            closing.composed = true;
            frame::write_close(&mut work.out, closing.reason);
            work.sent.frames += 1;
        }
    }

    fn compose_texts(&mut self, hub: &mut Hub, work: &mut Work) {
        if self.outbox.is_empty() {
            return;
        }
        let batch = &mut work.batch;
        self.outbox
            .poll_batch(hub, work.limits.frame_len_max, batch);
        work.sent.conflated += batch.conflated;
        work.sent.replayed += batch.replayed;
        work.sent.missed += batch.missed;
        let Some((first, rest)) = batch.texts.split_first() else {
            return;
        };
        work.sent.frames += 1;
        work.sent.messages += batch.texts.len() as u64;
        frame::write_header(&mut work.out, Opcode::Text, batch.len);
        work.out.extend_from_slice(first);
        for text in rest {
            work.out.push(b'\n');
            work.out.extend_from_slice(text);
        }
    }
}
