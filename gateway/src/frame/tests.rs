use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const MAX: usize = 64 * 1024;

/// A client frame, masked as it must be.
fn client_frame(fin: bool, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![opcode | if fin { 0x80 } else { 0 }];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

/// Everything that the bytes say, up to an error.
fn read(chunks: &[&[u8]]) -> (Vec<Event>, Option<CloseReason>) {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for chunk in chunks {
        reader.handle_bytes(0, chunk);
        loop {
            match reader.poll_event(MAX) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(reason) => return (events, Some(reason)),
            }
        }
    }
    (events, None)
}

#[test]
fn the_examples_of_the_rfc_read_as_it_says() {
    // RFC 6455, 5.7: a masked "Hello", alone and as the answer to a ping.
    let text = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read(&[&text]), (vec![Event::Text("Hello".into())], None));
    let pong = [
        0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(read(&[&pong]), (vec![Event::Pong], None));
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let bytes = [
        client_frame(false, 0x1, b"Hel"),
        client_frame(true, 0x9, b"ping"),
        client_frame(false, 0x0, b""),
        client_frame(true, 0x0, b"lo"),
        client_frame(true, 0x8, b""),
    ]
    .concat();
    let expect = vec![
        Event::Ping(b"ping".to_vec()),
        Event::Text("Hello".into()),
        Event::Close,
    ];
    assert_eq!(read(&[&bytes]), (expect, None));
}

#[test]
fn a_character_may_be_cut_by_a_fragment_but_not_by_the_end() {
    let euro = "€".as_bytes();
    let split = [
        client_frame(false, 0x1, &euro[..1]),
        client_frame(true, 0x0, &euro[1..]),
    ]
    .concat();
    assert_eq!(read(&[&split]).0, [Event::Text("€".into())]);
    let cut = client_frame(true, 0x1, &euro[..2]);
    assert_eq!(read(&[&cut]).1, Some(CloseReason::NotUtf8));
}

#[test]
fn violations_have_their_reasons() {
    let check = |what: &str, bytes: &[u8], expect: Option<CloseReason>| {
        assert_eq!(read(&[bytes]).1, expect, "{what}");
    };
    let frame = client_frame;
    check("not masked", &[0x81, 0x05], Some(CloseReason::Protocol));
    check("reserved bit", &[0xA1, 0x85], Some(CloseReason::Protocol));
    for opcode in [0x3, 0x7, 0xB, 0xF] {
        check(
            "reserved opcode",
            &frame(true, opcode, b""),
            Some(CloseReason::Protocol),
        );
    }
    check("binary", &frame(true, 0x2, b"x"), Some(CloseReason::Binary));
    check(
        "continues nothing",
        &frame(true, 0x0, b"x"),
        Some(CloseReason::Protocol),
    );
    let nested = [frame(false, 0x1, b"a"), frame(true, 0x1, b"b")].concat();
    check("text in a text", &nested, Some(CloseReason::Protocol));
    check(
        "cut control",
        &frame(false, 0x9, b""),
        Some(CloseReason::Protocol),
    );
    check(
        "long control",
        &frame(true, 0x9, &[0; 126]),
        Some(CloseReason::Protocol),
    );
    check("longest control", &frame(true, 0x9, &[0; 125]), None);
    check(
        "two bytes for one",
        &[0x81, 0xFE, 0, 125],
        Some(CloseReason::Protocol),
    );
    let eight = [0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
    check("eight bytes for two", &eight, Some(CloseReason::Protocol));
    let top = [0x81, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0];
    check("top bit of a length", &top, Some(CloseReason::Protocol));
    check("longest message", &frame(true, 0x1, &[b'x'; MAX]), None);
    // Refused by its header, before its payload comes.
    check(
        "too long",
        &frame(true, 0x1, &[b'x'; MAX + 1])[..10],
        Some(CloseReason::TooBig),
    );
    let together = [frame(false, 0x1, &[b'x'; MAX]), frame(true, 0x0, b"y")].concat();
    check("too long together", &together, Some(CloseReason::TooBig));
}

#[test]
fn close_frames_are_checked() {
    let check = |code: u16, reason: &[u8], expect: Option<CloseReason>| {
        let payload = [&code.to_be_bytes()[..], reason].concat();
        assert_eq!(
            read(&[&client_frame(true, 0x8, &payload)]).1,
            expect,
            "{code}"
        );
    };
    for code in [1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
        check(code, b"bye", None);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000] {
        check(code, b"", Some(CloseReason::Protocol));
    }
    check(1000, &[0xFF], Some(CloseReason::NotUtf8));
    let one_byte = client_frame(true, 0x8, &[3]);
    assert_eq!(read(&[&one_byte]).1, Some(CloseReason::Protocol));
}

#[test]
fn an_idle_reader_holds_nothing() {
    let mut reader = Reader::default();
    reader.handle_bytes(0, &client_frame(true, 0x1, b"hello"));
    while reader.poll_event(MAX).unwrap().is_some() {}
    assert!(reader.state.is_none());
    reader.handle_bytes(0, &[0x81]);
    assert_eq!(reader.poll_event(MAX), Ok(None));
    assert!(reader.state.is_some());
}

#[test]
fn server_headers_take_the_shortest_form() {
    let check = |len: usize, expect: &[u8]| {
        let mut out = Vec::new();
        write_header(&mut out, Opcode::Text, len);
        assert_eq!(out, expect, "{len}");
    };
    check(0, &[0x81, 0]);
    check(125, &[0x81, 125]);
    check(126, &[0x81, 126, 0, 126]);
    check(0xFFFF, &[0x81, 126, 0xFF, 0xFF]);
    check(0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    let mut close = Vec::new();
    write_close(&mut close, CloseReason::Drain);
    assert_eq!(close, b"\x88\x07\x03\xF4drain");
}

proptest! {
    /// How the bytes are cut into reads changes nothing of what they say.
    #[test]
    fn any_split_reads_the_same(
        frames in prop::collection::vec(
            (any::<bool>(), prop::sample::select(vec![0x0u8, 0x1, 0x9, 0xA]), prop::collection::vec(any::<u8>(), 0..300)),
            0..12,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(fin, opcode, payload)| client_frame(*fin, *opcode, payload))
            .collect();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let chunks: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(read(&chunks), read(&[&bytes]));
    }

    /// Text of any length comes through, in any fragments.
    #[test]
    fn text_comes_through(text in ".{0,400}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let parts = at.len() - 1;
        let bytes: Vec<u8> = at
            .windows(2)
            .enumerate()
            .flat_map(|(n, pair)| {
                let opcode = u8::from(n == 0);
                client_frame(n + 1 == parts, opcode, &text.as_bytes()[pair[0]..pair[1]])
            })
            .collect();
        prop_assert_eq!(read(&[&bytes]), (vec![Event::Text(text)], None));
    }

    /// Nothing that can be sent makes it panic, or hold more than a message and a read.
    #[test]
    fn any_bytes_are_safe(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        read(&chunks);
    }
}

#[test]
fn what_is_unfinished_has_an_age() {
    let hello = client_frame(true, 0x1, b"hello");
    let begun = client_frame(false, 0x1, b"hel");
    let ping = client_frame(true, 0x9, b"");
    // What comes when, and since when something is unfinished after all.
    let check = |chunks: &[(u64, &[u8])], expect: Option<u64>| {
        let mut reader = Reader::default();
        for (now_ms, bytes) in chunks {
            reader.handle_bytes(*now_ms, bytes);
            while reader.poll_event(100).unwrap().is_some() {}
        }
        assert_eq!(reader.unfinished_since_ms(), expect, "{chunks:?}");
    };
    check(&[(5, &hello)], None);
    check(&[(5, &hello[..1])], Some(5));
    check(&[(5, &hello[..1]), (9, &hello[1..3])], Some(5));
    check(&[(5, &hello[..1]), (9, &hello[1..])], None);
    check(
        &[(5, &hello[..3]), (9, &[&hello[3..], &hello[..2]].concat())],
        Some(9),
    );
    check(&[(5, &begun)], Some(5));
    check(&[(5, &begun), (9, &ping), (12, &ping[..3])], Some(5));
}
