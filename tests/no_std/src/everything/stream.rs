//! Streams.

use afunix::{
    AsFd, AsRawFd, Errno, IoSlice, IoSliceMut, OwnedFd, Shutdown, UnixAddr, UnixDatagram,
    UnixListener, UnixStream,
};

use crate::check::{Failure, Names, is, opaque};
use crate::out::print;
use crate::{check, check_connected, check_data, check_options, check_socket, get};

pub fn run() -> Result<(), Failure> {
    let names = Names::new()?;
    check_data!(UnixStream, names, tags: b'1' b'2', not: UnixDatagram);
    let (client, server) = check_connected!(UnixStream, UnixListener, names, tags: b'3' b'4');
    data(&client, &server)?;
    check!(client.shutdown(opaque(Shutdown::Write)).is_ok());
    check!(is(client.write(opaque(b"more")), Errno::PIPE));
    check!(server.read(opaque(&mut [0; 8])) == Ok(0));
    Ok(())
}

fn data(client: &UnixStream, server: &UnixStream) -> Result<(), Failure> {
    let text = b"a stream says hello\n";
    check!(client.write(opaque(text)) == Ok(text.len()));
    let mut buf = [0; 64];
    check!(server.peek(opaque(&mut buf[..5])) == Ok(5) && buf.starts_with(b"a str"));
    check!(server.bytes_readable() == Ok(text.len()));
    // Of Linux 6.17.
    let has = server.set_inq(opaque(true)).is_ok();
    check!(server.set_inq(opaque(false)).is_ok() == has);
    let count = get!(server.read(opaque(&mut buf[..])));
    let read = get!(buf.get(..count));
    check!(read == text);
    print(get!(str::from_utf8(read)));

    let pieces = [IoSlice::new(opaque(b"head")), IoSlice::new(opaque(b"body"))];
    check!(server.write_vectored(opaque(&pieces)) == Ok(8));
    let (mut head, mut body) = ([0; 4], [0; 16]);
    let mut bufs = [IoSliceMut::new(opaque(&mut head)), IoSliceMut::new(opaque(&mut body))];
    check!(client.read_vectored(opaque(&mut bufs)) == Ok(8));
    check!(&head == b"head" && body.starts_with(b"body"));
    Ok(())
}
