//! Std's traits of streams.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use crate::socket::UnixStream;

/// Implements reading and writing for a stream or a reference to one: either is as good.
macro_rules! impl_stream {
    ($($Stream:ty),+) => {$(
        /// [`UnixStream::read`] and [`read_vectored`](UnixStream::read_vectored). With the feature
        /// `std`.
        ///
        /// # Errors
        ///
        /// Each is an error of the operating system, with the errno in `raw_os_error`.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::io::{BufRead, BufReader};
        ///
        /// use afunix::UnixStream;
        ///
        /// let (a, b) = UnixStream::pair()?;
        /// a.write(b"one\ntwo\n")?;
        /// drop(a);
        /// let lines: Vec<String> = BufReader::new(&b).lines().collect::<Result<_, _>>()?;
        /// assert_eq!(lines, ["one", "two"]);
        /// # Ok::<(), std::io::Error>(())
        /// ```
        impl Read for $Stream {
            #[inline]
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                Ok(UnixStream::read(self, buf)?)
            }

            #[inline]
            fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                Ok(UnixStream::read_vectored(self, bufs)?)
            }
        }

        /// [`UnixStream::write`] and [`write_vectored`](UnixStream::write_vectored), neither of
        /// which raises `SIGPIPE`; `flush` does nothing, since nothing is held back. With the feature
        /// `std`.
        ///
        /// # Errors
        ///
        /// Each is an error of the operating system, with the errno in `raw_os_error`.
        ///
        /// # Examples
        ///
        /// ```
        /// use std::io::{ErrorKind, Write};
        ///
        /// use afunix::UnixStream;
        ///
        /// let (mut a, b) = UnixStream::pair()?;
        /// writeln!(a, "{} lines follow", 3)?;
        /// drop(b);
        /// let error = a.write_all(b"one\n").unwrap_err();
        /// assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        /// # Ok::<(), std::io::Error>(())
        /// ```
        impl Write for $Stream {
            #[inline]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                Ok(UnixStream::write(self, buf)?)
            }

            #[inline]
            fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                Ok(UnixStream::write_vectored(self, bufs)?)
            }

            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )+};
}

impl_stream!(UnixStream, &UnixStream);
