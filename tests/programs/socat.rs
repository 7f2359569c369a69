//! `socat` at the other end, and between two of ours.

use std::process::Command;
use std::thread;

use afunix::{
    Errno, Shutdown, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener,
    UnixStream,
};

use crate::common::{LONG, TempDir, Watchdog, addr, name};
use crate::tool::{Running, is_there, large, read_all, when_there, write_all};

/// A name, as we know it and as `socat` does.
struct Name {
    addr: UnixAddr,
    /// What its words for addresses begin with: `UNIX` or `ABSTRACT`.
    family: &'static str,
    text: String,
    options: &'static str,
}

impl Name {
    /// One of its words for addresses, as `CONNECT`, with this name.
    fn word(&self, verb: &str) -> String {
        format!("{}-{verb}:{}{}", self.family, self.text, self.options)
    }
}

/// Each kind of address that it has.
fn names(dir: &TempDir) -> Vec<Name> {
    let path = |path: std::path::PathBuf| Name {
        addr: addr(&path),
        family: "UNIX",
        text: path.to_str().expect("text").to_string(),
        options: "",
    };
    let abstract_name = |padded, options| {
        let exact = name("socat");
        let bytes = exact.as_abstract_name().expect("an abstract name");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let addr =
            if padded { UnixAddr::from_abstract_padded(bytes).expect("short") } else { exact };
        Name { addr, family: "ABSTRACT", text, options }
    };
    vec![
        path(dir.join("s")),
        path(dir.path_of_len(107)),
        abstract_name(false, ""),
        // Not only as long as the text: filled up with NULs, as some programs do.
        abstract_name(true, ",unix-tightsocklen=0"),
    ]
}

/// With all that it says on standard error, and with time for the rest when one side is at its end.
fn socat(args: &[&str], input: &[u8]) -> Running {
    Running::start(Command::new("socat").args(["-t", "10"]).args(args), input.to_vec())
}

/// Runs `body` for each kind of address, if `socat` is there.
fn each(body: impl Fn(Name)) {
    if !is_there("socat", "-V") {
        return;
    }
    let _watchdog = Watchdog::new();
    let dir = TempDir::new();
    names(&dir).into_iter().for_each(body);
}

/// [`each`] with a name for both sides, of the same kind.
fn each_pair(body: impl Fn(Name, Name)) {
    if !is_there("socat", "-V") {
        return;
    }
    let _watchdog = Watchdog::new();
    let (dir, other) = (TempDir::new(), TempDir::new());
    names(&dir).into_iter().zip(names(&other)).for_each(|(server, client)| body(server, client));
}

/// Writes and reads at the same time: neither queue has room for all.
fn exchange(stream: &UnixStream, bytes: &[u8]) -> Vec<u8> {
    thread::scope(|scope| {
        scope.spawn(|| {
            write_all(stream, bytes);
            stream.shutdown(Shutdown::Write).unwrap();
        });
        read_all(stream)
    })
}

fn accept(listener: &UnixListener) -> UnixStream {
    listener.set_accept_timeout(Some(LONG / 2)).unwrap();
    listener.accept().unwrap().0
}

fn accept_packets(listener: &UnixSeqpacketListener) -> UnixSeqpacket {
    listener.set_accept_timeout(Some(LONG / 2)).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(LONG / 2)).unwrap();
    socket
}

#[test]
fn socat_gives_our_stream_every_byte_back() {
    let bytes = large();
    each(|name| {
        let program = socat(&[&name.word("LISTEN"), "EXEC:cat"], b"");
        let stream = when_there(|| UnixStream::connect(&name.addr));
        assert_eq!(stream.peer_addr(), Ok(name.addr));
        let back = exchange(&stream, &bytes);
        assert!(back == bytes, "{}: {} bytes", name.addr, back.len());
        program.end();
    });
}

#[test]
fn our_stream_gives_socat_every_byte_back() {
    let bytes = large();
    each(|name| {
        let listener = UnixListener::bind(&name.addr).unwrap();
        let program = socat(&["STDIO", &name.word("CONNECT")], &bytes);
        let stream = accept(&listener);
        let mut buf = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut buf).unwrap() {
                0 => break,
                count => write_all(&stream, &buf[..count]),
            }
        }
        drop(stream);
        let back = program.end();
        assert!(back == bytes, "{}: {} bytes", name.addr, back.len());
    });
}

/// One sends and the other receives, each way: the end is the end.
#[test]
fn a_stream_of_ours_and_socat_end_alike() {
    let bytes = large();
    each(|name| {
        let listener = UnixListener::bind(&name.addr).unwrap();
        let program = socat(&["-u", "STDIO", &name.word("CONNECT")], &bytes);
        assert!(read_all(&accept(&listener)) == bytes);
        assert_eq!(program.end(), b"");

        let program = socat(&["-u", &name.word("CONNECT"), "STDIO"], b"");
        write_all(&accept(&listener), &bytes);
        assert!(program.end() == bytes);
    });
}

/// A name that it binds as a client is the one that we see.
#[test]
fn we_see_the_name_of_socat() {
    each_pair(|server, client| {
        let listener = UnixListener::bind(&server.addr).unwrap();
        listener.set_accept_timeout(Some(LONG / 2)).unwrap();
        let word = format!("{},bind={}", server.word("CONNECT"), client.text);
        let program = socat(&["-u", "STDIO", &word], b"x");
        let (stream, from) = listener.accept().unwrap();
        assert_eq!((from, stream.peer_addr()), (client.addr, Ok(client.addr)), "{word}");
        assert_eq!(read_all(&stream), b"x");
        assert_eq!(program.end(), b"");
    });
}

/// Messages of each size up to the block that it reads at once; none is like its neighbours.
fn messages() -> Vec<Vec<u8>> {
    let sizes = [1, 2, 100, 4095, 4096, 8191, 8192];
    let message = |number: u32| {
        let size = sizes[number as usize % sizes.len()];
        let byte = |at: u32| (number ^ at.wrapping_mul(0x9e37_79b9)).to_be_bytes()[0];
        (0..size).map(byte).collect()
    };
    (0..700).map(message).collect()
}

/// From ours to ours through `socat`, which listens: the boundaries stay where they are, and so some
/// megabytes do, both ways.
#[test]
fn socat_keeps_the_packets_of_ours_apart() {
    let messages = messages();
    assert!(messages.iter().map(Vec::len).sum::<usize>() > 2_000_000);
    each(|name| {
        let ours = crate::common::name("packets");
        let listener = UnixSeqpacketListener::bind(&ours).unwrap();
        let back = std::str::from_utf8(ours.as_abstract_name().unwrap()).unwrap();
        let listen = name.word("LISTEN") + ",type=5";
        let program = socat(&[&listen, &format!("ABSTRACT-CONNECT:{back},type=5")], b"");
        let front = when_there(|| UnixSeqpacket::connect(&name.addr));
        front.set_read_timeout(Some(LONG / 2)).unwrap();
        let back = accept_packets(&listener);
        let mut buf = vec![0; 10_000];
        for (from, to) in [(&front, &back), (&back, &front)] {
            thread::scope(|scope| {
                scope.spawn(|| {
                    for message in &messages {
                        assert_eq!(from.send(message), Ok(message.len()));
                    }
                });
                for (number, message) in messages.iter().enumerate() {
                    let received = to.recv(&mut buf).unwrap();
                    assert!(buf[..received.bytes] == message[..], "message {number}");
                }
            });
        }
        // The end goes through as well.
        drop(front);
        assert_eq!(back.recv(&mut buf).unwrap().bytes, 0);
        drop(back);
        program.end();
    });
}

/// As client, to a listener of ours at each kind of address.
#[test]
fn socat_talks_packets_to_our_listener() {
    each(|name| {
        let listener = UnixSeqpacketListener::bind(&name.addr).unwrap();
        let program = socat(&["STDIO", &(name.word("CONNECT") + ",type=5")], b"one packet");
        let socket = accept_packets(&listener);
        let mut buf = [0; 64];
        let received = socket.recv(&mut buf).unwrap();
        assert_eq!(&buf[..received.bytes], b"one packet");
        for message in [&b"two "[..], b"answers"] {
            socket.send(message).unwrap();
        }
        drop(socket);
        assert_eq!(program.end(), b"two answers");
        // Of the wrong type there is no connection.
        let errno = UnixStream::connect(&name.addr).unwrap_err();
        // An abstract name belongs to a type, a path does not.
        let wanted = if name.family == "UNIX" { Errno::PROTOTYPE } else { Errno::CONNREFUSED };
        assert_eq!(errno, wanted);
    });
}

/// A datagram for each block of its input.
#[test]
fn our_datagram_socket_receives_what_socat_sends() {
    let bytes = large();
    each(|name| {
        let socket = UnixDatagram::bind(&name.addr).unwrap();
        socket.set_read_timeout(Some(LONG / 2)).unwrap();
        let program = socat(&["-u", "-b", "4096", "STDIO", &name.word("SENDTO")], &bytes);
        let (mut all, mut buf) = (Vec::new(), [0; 8192]);
        while all.len() < bytes.len() {
            let (received, from) = socket.recv_from(&mut buf).unwrap();
            assert!(received.size <= 4096, "{} bytes", received.size);
            assert!(from.is_unnamed());
            all.extend_from_slice(&buf[..received.bytes]);
        }
        assert!(all == bytes);
        assert_eq!(program.end(), b"");
    });
}

/// Through `socat`, which receives from ours and sends to ours: each datagram by itself.
#[test]
fn socat_keeps_the_datagrams_of_ours_apart() {
    let messages = messages();
    each(|name| {
        let ours = crate::common::name("datagrams");
        let inbox = UnixDatagram::bind(&ours).unwrap();
        inbox.set_read_timeout(Some(LONG / 2)).unwrap();
        let to = std::str::from_utf8(ours.as_abstract_name().unwrap()).unwrap();
        let program = socat(&["-u", &name.word("RECV"), &format!("ABSTRACT-SENDTO:{to}")], b"");
        let sender = UnixDatagram::unbound().unwrap();
        when_there(|| sender.connect(&name.addr));
        thread::scope(|scope| {
            scope.spawn(|| {
                for message in &messages {
                    assert_eq!(sender.send(message), Ok(message.len()));
                }
            });
            let mut buf = vec![0; 10_000];
            for (number, message) in messages.iter().enumerate() {
                let received = inbox.recv(&mut buf).unwrap();
                assert!(buf[..received.bytes] == message[..], "message {number}");
            }
        });
        // It goes on for ever.
        drop(program);
    });
}

/// It answers the name that a datagram came from: so that is the name that it saw.
#[test]
fn socat_answers_our_datagrams() {
    each(|name| {
        let program = socat(&[&name.word("RECVFROM"), "EXEC:cat"], b"");
        let dir = TempDir::new();
        // It answers with the length that it received, whatever its own name is.
        let client = UnixDatagram::bind(&dir.addr("client")).unwrap();
        client.set_read_timeout(Some(LONG / 2)).unwrap();
        when_there(|| client.send_to(b"what is my name?", &name.addr));
        let mut buf = [0; 64];
        let (received, from) = client.recv_from(&mut buf).unwrap();
        assert_eq!(&buf[..received.bytes], b"what is my name?");
        assert_eq!(from, name.addr);
        drop(program);
    });
}

/// And we answer the name that it has bound. What it sends and what it receives are a stream of ours.
#[test]
fn our_datagram_socket_answers_socat() {
    each_pair(|server, client| {
        let socket = UnixDatagram::bind(&server.addr).unwrap();
        socket.set_read_timeout(Some(LONG / 2)).unwrap();
        let ours = crate::common::name("stream");
        let listener = UnixListener::bind(&ours).unwrap();
        let stream = std::str::from_utf8(ours.as_abstract_name().unwrap()).unwrap();
        let word = format!("{},bind={}", server.word("SENDTO"), client.text);
        let program = socat(&[&format!("ABSTRACT-CONNECT:{stream}"), &word], b"");
        let stream = accept(&listener);
        let mut buf = [0; 64];
        for question in [&b"ask"[..], b"ask again"] {
            write_all(&stream, question);
            let (received, from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!((&buf[..received.bytes], from), (question, client.addr), "{word}");
            assert_eq!(socket.send_to(b"answer", &from), Ok(6));
            assert_eq!(stream.read(&mut buf), Ok(6));
            assert_eq!(&buf[..6], b"answer");
        }
        // It would wait for more datagrams.
        drop(program);
    });
}
