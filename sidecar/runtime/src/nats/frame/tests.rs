//! Messages as they come, whole and in pieces, good and bad.

use proptest::prelude::*;

use super::*;

/// Headers by name.
type Pairs = &'static [(&'static str, &'static str)];

/// The words in this input, when it comes in pieces of this size.
fn words(input: &[u8], piece: usize) -> Result<Vec<Frame>, NotNats> {
    let (mut buffer, mut words) = (BytesMut::new(), Vec::new());
    for piece in input.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(word) = next(&mut buffer)? {
            words.push(word);
        }
    }
    assert!(buffer.is_empty(), "nothing is held back: {buffer:?}");
    Ok(words)
}

fn headed(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let (of_headers, all) = (headers.len(), headers.len() + payload.len());
    let line = format!("HMSG tpro.a.b.c 7 _INBOX.x {of_headers} {all}\r\n");
    [line.as_bytes(), headers, payload, b"\r\n"].concat()
}

fn one(input: &[u8], piece: usize) -> (u64, Message, Option<&'static str>) {
    let mut words = words(input, piece).expect("it is NATS");
    assert_eq!(words.len(), 1);
    match words.pop() {
        Some(Frame::Message { subscription, message, flaw }) => (subscription, message, flaw),
        other => panic!("{other:?}"),
    }
}

fn headers(message: &Message) -> Vec<(&str, &str)> {
    message.headers().collect()
}

#[test]
fn messages_are_read_however_they_are_cut() {
    let cases: [(&[u8], Pairs, u16, &[u8]); 6] = [
        (b"NATS/1.0\r\nA: b\r\nC:d\r\n\r\n", &[("A", "b"), ("C", "d")], 0, b"MSG x\r\nHMSG"),
        (b"NATS/1.0\r\nA: b\r\n  goes on\r\nC:\r\n\r\n", &[("A", "b  goes on"), ("C", "")], 0, b"{}"),
        (b"NATS/1.0 503\r\n\r\n", &[], 503, b""),
        (
            "NATS/1.0 100 Idle\r\nName: caf\u{e9}\r\n\r\n".as_bytes(),
            &[("Name", "caf\u{e9}")],
            100,
            b"\xff\xfe",
        ),
        (b"NATS/1.0\r\n\r\n", &[], 0, b"x"),
        (b"NATS/1.0\r\nA:1\r\nA:2\r\n\r\n", &[("A", "1"), ("A", "2")], 0, b"x"),
    ];
    for (block, read, status, payload) in cases {
        let input = headed(block, payload);
        for piece in (1..40).chain([input.len()]) {
            let (subscription, message, flaw) = one(&input, piece);
            assert_eq!(
                (subscription, message.subject(), message.reply()),
                (7, "tpro.a.b.c", Some("_INBOX.x"))
            );
            assert_eq!((headers(&message).as_slice(), message.payload()), (read, payload));
            assert_eq!((message.status().unwrap_or(0), flaw), (status, None));
        }
    }
    let (subscription, message, _) = one(b"MSG a 2  _INBOX.r 0\r\n\r\n", 3);
    assert_eq!((subscription, message.reply(), message.payload()), (2, Some("_INBOX.r"), &b""[..]));
    assert!(!message.has_headers());
}

#[test]
fn the_other_words_are_told() {
    let input = b"INFO {\"ldm\":true}\r\nPING\r\nPONG\r\n+OK\r\n-ERR 'Slow Consumer'\r\n";
    let words = words(input, 3).expect("it is NATS");
    let told: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
    assert_eq!(told, ["Info(b\"{\\\"ldm\\\":true}\")", "Ping", "Pong", "Taken", "No(\"Slow Consumer\")"]);
}

#[test]
fn headers_that_cannot_be_read_are_left_out_and_the_others_pass() {
    let cases: [(&[u8], Pairs); 9] = [
        (b"NATS/1.0\r\nX: caf\xe9\r\nA: b\r\n\r\n", &[("A", "b")]),
        (b"NATS/1.0\r\nno colon\r\nA: b\r\n\r\n", &[("A", "b")]),
        (b"NATS/1.0 9x9\r\nA: b\r\n\r\n", &[("A", "b")]),
        (b"NATS/1.0 099\r\n\r\n", &[]),
        (b"HTTP/1.1 200\r\nA: b\r\n\r\n", &[("A", "b")]),
        (b"NATS/1.0\r\nn\xc3\xa4me: x\r\nA: b\r\n\r\n", &[("A", "b")]),
        (b"NATS/1.0\r\nX: a\rb\r\nA: b\r\n\r\n", &[("A", "b")]),
        (b"NATS/1.0\r\nX: a\r\n \xe9\r\nA: b\r\n c\r\n\r\n", &[("A", "b c")]),
        (b"\xff", &[]),
    ];
    for (block, read) in cases {
        let input = headed(block, b"{}");
        for piece in [1, 7, input.len()] {
            let (_, message, flaw) = one(&input, piece);
            assert_eq!(headers(&message), read, "{}", block.escape_ascii());
            assert!(flaw.is_some() && message.payload() == b"{}" && message.status().is_none());
            assert_eq!((message.subject(), message.reply()), ("tpro.a.b.c", Some("_INBOX.x")));
        }
    }
}

#[test]
fn subjects_that_cannot_be_read_are_replaced() {
    let (_, message, flaw) = one(b"MSG tpro.a.caf\xe9 1 2\r\n{}\r\n", 5);
    assert_eq!((message.subject(), flaw), ("tpro.a.caf\u{FFFD}", Some("its subject is not UTF-8")));
    let (_, message, flaw) = one(b"MSG tpro.a.b 1 _IN\x0bBOX 2\r\n{}\r\n", 5);
    assert_eq!((message.reply(), flaw), (Some("_IN\u{FFFD}BOX"), Some("its subject has a space in it")));
    let (_, message, flaw) = one("MSG tpro.a.caf\u{e9} 1 2\r\n{}\r\n".as_bytes(), 5);
    assert_eq!((message.subject(), message.payload(), flaw), ("tpro.a.caf\u{e9}", &b"{}"[..], None));
}

#[test]
fn what_is_no_nats_is_told() {
    let endless = vec![b'x'; LINE_MAX + 1];
    assert_eq!(next(&mut BytesMut::from(&endless[..])).err(), Some(NotNats), "a line without end");
    let vast = format!("MSG a 1 {}\r\n", MESSAGE_MAX + 1);
    let lines =
        ["HTTP/1.1 400 Bad Request\r\n", "MSG a 1\r\n", "MSG a 1 x\r\n", "MSG a x 1\r\n", "HMSG a 1 9 2\r\n"];
    for line in lines.into_iter().chain(["MSG a 1 r 2 3\r\n", "MSG a 1 +2\r\n", "WHAT\r\n", "\r\n", &vast]) {
        assert_eq!(words(line.as_bytes(), 4).err(), Some(NotNats), "{line}");
    }
}

/// Pieces of headers, among them all that is looked at.
const PIECES: [&[u8]; 18] = [
    b"NATS/1.0",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"A",
    b"Name: value\r\n",
    b"503",
    b"\xff",
    b"\xc3\xa9",
    b"\xc2\xa0",
    b"\xe2\x80\x83",
    b"\x00",
    b"\x0b",
    b"\x7f",
    b"\r\n\r\n",
];

proptest! {
    /// Anybody may publish anything: the next message is read all the same.
    #[test]
    fn no_message_of_others_keeps_the_next_one_from_being_read(
        subject in proptest::collection::vec(prop_oneof![0x21_u8..=0xFF, Just(b'.'), Just(0x0B), Just(0)], 1..12),
        reply in proptest::collection::vec(prop_oneof![0x21_u8..=0xFF, Just(b'.')], 0..8),
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..14),
        version in any::<bool>(),
        payload in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let block = [if version { &b"NATS/1.0"[..] } else { b"" }, &pieces.concat()].concat();
        let numbers = format!(" {} {}\r\n", block.len(), block.len() + payload.len());
        let after = b"MSG next 1 2\r\nok\r\n";
        let input =
            [b"HMSG ", &subject[..], b" 1 ", &reply, numbers.as_bytes(), &block, &payload, b"\r\n", after].concat();
        let words = words(&input, 7).expect("it is NATS");
        prop_assert_eq!(words.len(), 2);
        for word in &words {
            let Frame::Message { message, .. } = word else { panic!("{word:?}") };
            prop_assert!(!message.subject().is_empty());
            prop_assert!(message.headers().all(|(name, value)| !name.contains(char::is_whitespace) && !value.contains('\r')));
        }
        let Frame::Message { message, .. } = &words[0] else { panic!("no message") };
        prop_assert_eq!(message.payload(), &payload[..]);
    }
}
