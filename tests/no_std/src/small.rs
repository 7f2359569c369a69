//! A program that talks over all three types, to see how small that is.

#![no_std]
#![no_main]

mod start;

use afunix::{Errno, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};

fn main() -> i32 {
    match talk() {
        Ok(()) => 0,
        Err(errno) => errno.raw_os_error(),
    }
}

fn talk() -> Result<(), Errno> {
    let mut buf = [0; 32];

    let (listener, name) = UnixListener::autobind()?;
    let client = UnixStream::connect(&name)?;
    let (server, _from) = listener.accept()?;
    client.write(b"a stream says hello\n")?;
    let count = server.read(&mut buf)?;
    print(&buf, count)?;

    let (listener, name) = UnixSeqpacketListener::autobind()?;
    let client = UnixSeqpacket::connect(&name)?;
    let (server, _from) = listener.accept()?;
    client.send(b"a seqpacket says hello\n")?;
    let received = server.recv(&mut buf)?;
    print(&buf, received.bytes)?;

    let (receiver, name) = UnixDatagram::autobind()?;
    UnixDatagram::unbound()?.send_to(b"a datagram says hello\n", &name)?;
    let received = receiver.recv(&mut buf)?;
    print(&buf, received.bytes)
}

fn print(buf: &[u8], len: usize) -> Result<(), Errno> {
    let text = buf.get(..len).and_then(|text| str::from_utf8(text).ok());
    start::print(text.ok_or(Errno::ILSEQ)?);
    Ok(())
}
