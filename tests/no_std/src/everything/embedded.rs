//! Streams by the traits of embedded-io.

use afunix::{Errno, IoError, UnixStream};
use embedded_io::{Error, ErrorKind, Read, ReadExactError, ReadReady, Write};

use crate::check::{Failure, opaque};
use crate::{check, get};

pub fn run() -> Result<(), Failure> {
    let (a, b) = get!(UnixStream::pair());
    talk(&a, &b)?;
    talk(b, a)
}

fn talk<S>(mut a: S, mut b: S) -> Result<(), Failure>
where
    S: Read<Error = IoError> + Write + ReadReady,
{
    let mut buf = [0; 8];
    check!(b.read_ready() == Ok(false));
    check!(a.write(opaque(b"head")) == Ok(4));
    check!(a.write_all(opaque(b"and body")) == Ok(()));
    check!(a.flush() == Ok(()));
    check!(b.read_ready() == Ok(true));
    check!(b.read(opaque(&mut buf[..4])) == Ok(4));
    check!(b.read_exact(opaque(&mut buf[..])) == Ok(()));
    check!(&buf == b"and body");
    check!(b.read_exact(opaque(&mut [])) == Ok(()));
    let error = opaque(IoError::from(Errno::PIPE));
    check!(error.kind() == ErrorKind::BrokenPipe && error.errno() == Errno::PIPE);
    check!(ReadExactError::from(error) == ReadExactError::Other(error));
    Ok(())
}
