//! Data until a deadline.

use super::{Deadline, Waiting};
use crate::addr::UnixAddr;
use crate::socket::{Received, UnixDatagram, UnixSeqpacket, UnixStream};
use crate::sys::data::{read, recv_now, recvfrom_now, send_now, sendto_now};
use crate::{AsFd, BorrowedFd, Errno};

fn recv_until(fd: BorrowedFd<'_>, buf: &mut [u8], deadline: Deadline) -> Result<usize, Errno> {
    let received = Waiting::to_receive(fd, deadline).attempts(|| recv_now(fd, buf))?;
    // Nothing, where it was shut.
    Ok(received.unwrap_or(0))
}

fn send_until(fd: BorrowedFd<'_>, buf: &[u8], deadline: Deadline) -> Result<usize, Errno> {
    let sent = Waiting::to_send(fd, deadline, None).attempts(|| send_now(fd, buf))?;
    // There is always an answer: only a receive ends otherwise.
    sent.ok_or(Errno::TIMEDOUT)
}

/// # Deadlines
impl UnixStream {
    /// Reads what has come, at least 1 byte and at most `buf.len()`, as [`read`](Self::read) does; waits if
    /// there is nothing, but not longer than until the deadline.
    ///
    /// It does not wait for more bytes than one, be it told to by `SO_RCVLOWAT`.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: nothing came until the deadline.
    /// - As `read`, but never `EAGAIN`. `EINTR`: a signal came while it waited.
    ///
    /// On an error nothing was taken from the queue.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::{Deadline, Errno, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// let deadline = Deadline::after(Duration::from_millis(10))?;
    /// assert_eq!(b.read_deadline(&mut [0; 16], deadline), Err(Errno::TIMEDOUT));
    /// a.write(b"hello")?;
    /// assert_eq!(b.read_deadline(&mut [0; 16], deadline), Ok(5));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// `MSG_DONTWAIT`, see [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html); Linux 2.6.28.
    #[doc(alias = "MSG_DONTWAIT")]
    #[doc(alias = "read_timeout")]
    pub fn read_deadline(&self, buf: &mut [u8], deadline: Deadline) -> Result<usize, Errno> {
        if buf.is_empty() {
            // `recv` would wait for something to read nothing of.
            return read(self.as_fd(), buf);
        }
        recv_until(self.as_fd(), buf, deadline)
    }

    /// Writes bytes, and says how many: **as many as there is room for,** at least 1 if there are any. Waits if there is no
    /// room, but not longer than until the deadline.
    ///
    /// What is left over, another call with the same deadline writes; [`Deadline`] shows the loop. One call
    /// that writes all could not say how far it came when the deadline passed.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: there was no room for a single byte until the deadline.
    /// - As [`write`](Self::write), but never `EAGAIN`. `EINTR`: a signal came while it waited.
    ///
    /// On an error nothing was written.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::{Deadline, Errno, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// let deadline = Deadline::after(Duration::from_millis(10))?;
    /// let mut written = 0;
    /// let error = loop {
    ///     match a.write_deadline(&[0; 4096], deadline) {
    ///         Ok(count) => written += count,
    ///         Err(error) => break error,
    ///     }
    /// };
    /// assert_eq!(error, Errno::TIMEDOUT); // nobody reads
    /// assert_eq!(b.bytes_readable()?, written);
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// `MSG_DONTWAIT`, see [send(2)](https://man7.org/linux/man-pages/man2/send.2.html); Linux 2.6.28.
    #[doc(alias = "MSG_DONTWAIT")]
    #[doc(alias = "write_timeout")]
    pub fn write_deadline(&self, buf: &[u8], deadline: Deadline) -> Result<usize, Errno> {
        send_until(self.as_fd(), buf, deadline)
    }
}

/// Implements what the two types do alike that keep the bounds of messages.
macro_rules! impl_messages {
    ($Type:ident, $drops:literal) => {
        /// # Deadlines
        impl $Type {
            /// Sends one message to the peer, whole or not at all, as [`send`](Self::send) does; waits
            /// while there is no room, but not longer than until the deadline.
            ///
            /// # Errors
            ///
            /// - `ETIMEDOUT`: there was no room until the deadline.
            #[doc = concat!("- As `send`, but never `EAGAIN`. `EINTR`: a signal came while it waited.", $drops)]
            ///
            /// On an error nothing was sent.
            ///
            /// # Examples
            ///
            /// ```
            /// use core::time::Duration;
            #[doc = concat!("use afunix::{Deadline, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// let deadline = Deadline::after(Duration::from_secs(1))?;
            /// assert_eq!(a.send_deadline(b"in time", deadline)?, 7);
            /// # drop(b);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `MSG_DONTWAIT`, see [send(2)](https://man7.org/linux/man-pages/man2/send.2.html);
            /// Linux 2.6.28.
            #[doc(alias = "MSG_DONTWAIT")]
            pub fn send_deadline(&self, message: &[u8], deadline: Deadline) -> Result<usize, Errno> {
                send_until(self.as_fd(), message, deadline)
            }

            /// Receives one message into `buf` and tells how long it was, as [`recv`](Self::recv) does;
            /// waits if there is none, but not longer than until the deadline.
            ///
            /// # Errors
            ///
            /// - `ETIMEDOUT`: no message came until the deadline.
            /// - As `recv`, but never `EAGAIN`. `EINTR`: a signal came while it waited.
            ///
            /// On an error no message was taken from the queue.
            ///
            /// # Examples
            ///
            /// ```
            /// use core::time::Duration;
            #[doc = concat!("use afunix::{Deadline, Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// let deadline = Deadline::after(Duration::from_millis(10))?;
            /// assert_eq!(b.recv_deadline(&mut [0; 16], deadline), Err(Errno::TIMEDOUT));
            /// a.send(b"message")?;
            /// assert_eq!(b.recv_deadline(&mut [0; 16], deadline)?.bytes, 7);
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// `MSG_DONTWAIT`, see [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html);
            /// Linux 3.4.
            #[doc(alias = "MSG_DONTWAIT")]
            pub fn recv_deadline(
                &self,
                buf: &mut [u8],
                deadline: Deadline,
            ) -> Result<Received, Errno> {
                let room = buf.len();
                let size = recv_until(self.as_fd(), buf, deadline)?;
                Ok(Received::new(size, room))
            }
        }
    };
}

impl_messages!(UnixSeqpacket, "");
impl_messages!(
    UnixDatagram,
    " `ECONNREFUSED`\n  comes too where the peer is closed while it waits."
);

/// # Deadlines, with an address
impl UnixDatagram {
    /// Sends one message to whoever has the name `to`, whole or not at all, as [`send_to`](Self::send_to)
    /// does; waits while the queue there is full, but not longer than until the deadline.
    ///
    /// `poll` tells of the queue at `to` only a socket that is connected to it. So where it has to wait, this
    /// call makes one for the time of the wait: it has no name, sends nothing, and no call of the
    /// receiver's tells of it (`ss` shows that as connected from then on). Where that cannot be, because no descriptor is free or the receiver takes messages of this
    /// socket alone, it looks itself, again and again: each 100 milliseconds, or each 16 while `poll` calls
    /// the socket writable though the message does not go.
    ///
    /// # Errors
    ///
    /// - `ETIMEDOUT`: the queue there was full until the deadline.
    /// - As `send_to`, but never `EAGAIN`. `EINTR`: a signal came while it waited.
    ///
    /// On an error nothing was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::{Deadline, Errno, UnixDatagram};
    ///
    /// let (server, name) = UnixDatagram::autobind()?;
    /// let client = UnixDatagram::unbound()?;
    /// let deadline = Deadline::after(Duration::from_millis(10))?;
    /// let mut sent = 0;
    /// let error = loop {
    ///     match client.send_to_deadline(b"again", &name, deadline) {
    ///         Ok(_) => sent += 1,
    ///         Err(error) => break error,
    ///     }
    /// };
    /// assert_eq!(error, Errno::TIMEDOUT);
    /// # assert!(sent > 0);
    /// # drop(server);
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// `MSG_DONTWAIT`, see [send(2)](https://man7.org/linux/man-pages/man2/send.2.html); Linux 2.6.28.
    #[doc(alias = "MSG_DONTWAIT")]
    #[doc(alias = "sendto")]
    pub fn send_to_deadline(
        &self,
        message: &[u8],
        to: &UnixAddr,
        deadline: Deadline,
    ) -> Result<usize, Errno> {
        let fd = self.as_fd();
        let waiting = Waiting::to_send(fd, deadline, Some(to));
        // There is always an answer: only a receive ends otherwise.
        waiting.attempts(|| sendto_now(fd, message, to))?.ok_or(Errno::TIMEDOUT)
    }

    /// Receives one message as [`recv_deadline`](Self::recv_deadline) does, with the sender's address:
    /// unnamed if it has no name.
    ///
    /// # Errors
    ///
    /// As `recv_deadline`.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    /// use afunix::{Deadline, UnixDatagram};
    ///
    /// let (server, name) = UnixDatagram::autobind()?;
    /// server.send_to(b"to myself", &name)?;
    /// let deadline = Deadline::after(Duration::from_secs(1))?;
    /// let (received, from) = server.recv_from_deadline(&mut [0; 16], deadline)?;
    /// assert_eq!((received.bytes, from), (9, name));
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_DONTWAIT`, see [recvfrom(2)](https://man7.org/linux/man-pages/man2/recvfrom.2.html);
    /// Linux 3.4.
    #[doc(alias = "MSG_DONTWAIT")]
    #[doc(alias = "recvfrom")]
    pub fn recv_from_deadline(
        &self,
        buf: &mut [u8],
        deadline: Deadline,
    ) -> Result<(Received, UnixAddr), Errno> {
        let (fd, room) = (self.as_fd(), buf.len());
        let mut from = UnixAddr::UNNAMED;
        let waiting = Waiting::to_receive(fd, deadline);
        let size = waiting.attempts(|| recvfrom_now(fd, buf, &mut from))?;
        // Nothing from nobody, where it was shut.
        Ok((Received::new(size.unwrap_or(0), room), from))
    }
}
