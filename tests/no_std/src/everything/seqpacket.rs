//! Sequenced packets.

use afunix::{
    AsFd, AsRawFd, Errno, OwnedFd, Shutdown, UnixAddr, UnixDatagram, UnixSeqpacket,
    UnixSeqpacketListener,
};

use crate::check::{Failure, Names, is, opaque};
use crate::out::print;
use crate::{check, check_connected, check_data, check_options, check_socket, get};

pub fn run() -> Result<(), Failure> {
    let names = Names::new()?;
    check_data!(UnixSeqpacket, names, tags: b'1' b'2', not: UnixDatagram);
    let (client, server) =
        check_connected!(UnixSeqpacket, UnixSeqpacketListener, names, tags: b'3' b'4');

    let text = b"a seqpacket says hello\n";
    check!(client.send(opaque(text)) == Ok(text.len()));
    check!(client.send(opaque(text)) == Ok(text.len()));
    let mut buf = [0; 64];
    let seen = get!(server.peek(opaque(&mut buf[..5])));
    check!(seen.bytes == 5 && seen.size == text.len());
    check!(server.bytes_readable() == Ok(2 * text.len()));
    check!(server.max_message_size().is_ok_and(|max| max >= 4576));
    let received = get!(server.recv(opaque(&mut buf[..])));
    check!(!received.is_truncated() && received.size == received.bytes);
    let message = get!(buf.get(..received.bytes));
    check!(message == text);
    print(get!(str::from_utf8(message)));

    let received = get!(server.recv(opaque(&mut buf[..5])));
    check!(received.is_truncated() && received.bytes == 5 && received.size == text.len());
    check!(received == opaque(received));
    Ok(())
}
