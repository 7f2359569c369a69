//! What is queued: looking at it, how much it is, and how much it may be.

use super::{Received, UnixDatagram, UnixSeqpacket, UnixStream};
use crate::sys::data::peek;
use crate::sys::{queue, sockopt};
use crate::{AsFd, Errno};

/// Implements the send buffer, and where peeks begin, for what carries data.
macro_rules! impl_queues {
    ($Type:ident, get: $get:literal, put: $put:literal) => {
        /// # Queues
        impl $Type {
            /// How much kernel memory may be taken by what is sent here and not received yet:
            /// about twice as many bytes as that has.
            ///
            /// At first it is `net.core.wmem_default`, as a rule 212,992. There is no such limit
            /// for what is received: that is the sender's.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// See [`set_send_buffer_size`](Self::set_send_buffer_size).
            #[doc(alias = "SO_SNDBUF")]
            #[inline]
            pub fn send_buffer_size(&self) -> Result<usize, Errno> {
                sockopt::send_buffer_size(self.as_fd())
            }

            /// Sets how much kernel memory unread data from here may take to **twice** `bytes`, so
            /// that [`send_buffer_size`](Self::send_buffer_size) then gives twice as much.
            ///
            /// Of more than `net.core.wmem_max` it is twice that, and of almost nothing 4,608, neither of
            /// which is an error: ask what it is. What is queued stays. What a listener accepts does
            /// not inherit it. (The size of the receive buffer, `SO_RCVBUF`, can be set on
            /// such sockets, but does nothing, and so is not here.)
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let socket = ", stringify!($Type), "::unbound()?;")]
            /// socket.set_send_buffer_size(16_384)?;
            /// assert_eq!(socket.send_buffer_size()?, 32_768);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SO_SNDBUF`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
            #[doc(alias = "SO_SNDBUF")]
            #[doc(alias = "SO_RCVBUF")]
            #[inline]
            pub fn set_send_buffer_size(&self, bytes: usize) -> Result<(), Errno> {
                sockopt::set_send_buffer_size(self.as_fd(), bytes)
            }

            /// How much kernel memory is taken by what was sent here and not received yet; 0 if all
            /// was.
            ///
            /// It is **not** how many bytes these are: each piece has an overhead, and of a piece
            /// that was received in part all is counted. It is what
            /// [`send_buffer_size`](Self::send_buffer_size) limits.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            #[doc = concat!("a.", $put, "(b\"hello\")?;")]
            /// assert!(a.unread_memory()? > 5);
            #[doc = concat!("let _ = b.", $get, "(&mut [0; 8])?;")]
            /// assert_eq!(a.unread_memory()?, 0);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SIOCOUTQ`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
            #[doc(alias = "SIOCOUTQ")]
            #[doc(alias = "TIOCOUTQ")]
            #[inline]
            pub fn unread_memory(&self) -> Result<usize, Errno> {
                queue::unread_memory(self.as_fd())
            }

            /// Where the next peek begins, counted from the start of the queue; `None` if peeks do not
            /// move on.
            ///
            /// # Errors
            ///
            /// None that Linux is known to give.
            ///
            /// # Examples
            ///
            /// See [`set_peek_offset`](Self::set_peek_offset).
            #[doc(alias = "SO_PEEK_OFF")]
            #[inline]
            pub fn peek_offset(&self) -> Result<Option<u32>, Errno> {
                sockopt::peek_offset(self.as_fd())
            }

            /// Makes peeks begin so many bytes behind the start of the queue, and move on: each begins
            /// where the last one ended. `None`, as at first, has each begin at the start.
            ///
            /// A receive that is no peek takes from the start, and moves the offset back by as much. A
            /// peek behind all that is queued waits, or is `EAGAIN`, or sees the end. Datagrams and
            /// packets count with all their bytes, even if the rest of one is lost: no peek sees two
            /// of them, and the size that it gives is what the message has from the offset on. An empty
            /// one is seen once. What a listener accepts does not inherit this.
            ///
            /// # Errors
            ///
            /// `EINVAL`: the offset is more than 2,147,483,647; the option is as it was.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            #[doc = concat!("a.", $put, "(b\"head body\")?;")]
            /// b.set_peek_offset(Some(0))?;
            /// let mut buf = [0; 4];
            /// let _ = b.peek(&mut buf)?;
            /// assert_eq!((&buf, b.peek_offset()?), (b"head", Some(4)));
            /// let _ = b.peek(&mut buf)?;
            /// assert_eq!((&buf, b.peek_offset()?), (b" bod", Some(8)));
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `SO_PEEK_OFF`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html);
            /// Linux 3.4.
            #[doc(alias = "SO_PEEK_OFF")]
            #[inline]
            pub fn set_peek_offset(&self, offset: Option<u32>) -> Result<(), Errno> {
                sockopt::set_peek_offset(self.as_fd(), offset)
            }
        }
    };
}

impl_queues!(UnixStream, get: "read", put: "write");
impl_queues!(UnixDatagram, get: "recv", put: "send");
impl_queues!(UnixSeqpacket, get: "recv", put: "send");

/// Implements what only messages have: a size of each, and a largest one.
macro_rules! impl_sizes {
    ($Type:ident) => {
        /// # Messages in the queue
        impl $Type {
            /// Receives one message as [`recv`](Self::recv) does, and leaves it in the queue.
            ///
            /// No descriptor is installed, and those that were sent along stay with the message.
            ///
            /// # Errors
            ///
            /// As `recv`; `ECONNRESET` is taken even so.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::", stringify!($Type), ";")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// a.send(b"a long story")?;
            /// let size = b.peek(&mut [])?.size;
            /// assert_eq!(size, 12);
            /// assert_eq!(b.recv(&mut vec![0; size])?.bytes, 12);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            ///
            /// `MSG_PEEK` and `MSG_TRUNC`, see
            /// [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html); Linux 3.4.
            #[doc(alias = "MSG_PEEK")]
            #[inline]
            pub fn peek(&self, buf: &mut [u8]) -> Result<Received, Errno> {
                let room = buf.len();
                peek(self.as_fd(), buf).map(|size| Received::new(size, room))
            }

            /// The largest message that can be sent with the send buffer as it is: 32 bytes less
            /// than that has, and at most 4,263,616.
            ///
            /// A longer one is `EMSGSIZE`, or `ENOBUFS` if only the second limit forbids it, which
            /// is this on machines with pages of 4096 bytes and more on others. A shorter one waits
            /// for room, and the kernel may be out of memory for it (`ENOBUFS`): the larger it is, the
            /// more of it must be in one piece.
            ///
            /// # Errors
            ///
            /// As [`send_buffer_size`](Self::send_buffer_size).
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{Errno, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, _b) = ", stringify!($Type), "::pair()?;")]
            /// let max = a.max_message_size()?;
            /// assert_eq!(a.send(&vec![0; max + 1]), Err(Errno::MSGSIZE));
            /// assert_eq!(a.send(&vec![0; max])?, max);
            /// # Ok::<(), Errno>(())
            /// ```
            ///
            /// `SO_SNDBUF`, see [socket(7)](https://man7.org/linux/man-pages/man7/socket.7.html).
            #[doc(alias = "SO_SNDBUF")]
            #[inline]
            pub fn max_message_size(&self) -> Result<usize, Errno> {
                let buffer = self.send_buffer_size()?;
                Ok(buffer.saturating_sub(MESSAGE_OVERHEAD).min(MESSAGE_MAX))
            }
        }
    };
}

/// What the kernel wants of the send buffer beside the message.
const MESSAGE_OVERHEAD: usize = 32;
/// What one message can have in the kernel's memory: 4 MiB in one piece, and 17 pages.
const MESSAGE_MAX: usize = 4_263_616;

impl_sizes!(UnixDatagram);
impl_sizes!(UnixSeqpacket);

/// # Bytes in the queue
impl UnixStream {
    /// Reads as [`read`](Self::read) does, and leaves the bytes in the queue.
    ///
    /// No descriptor is installed, and those that were sent along stay with their bytes.
    ///
    /// # Errors
    ///
    /// As `read`, but that an empty `buf` is no exception: this waits, and fails, as with any other.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixStream;
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"hello")?;
    /// let mut buf = [0; 4];
    /// assert_eq!(b.peek(&mut buf)?, 4);
    /// assert_eq!(b.read(&mut buf)?, 4);
    /// assert_eq!(&buf, b"hell");
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `MSG_PEEK`, see [recv(2)](https://man7.org/linux/man-pages/man2/recv.2.html).
    #[doc(alias = "MSG_PEEK")]
    #[inline]
    pub fn peek(&self, buf: &mut [u8]) -> Result<usize, Errno> {
        peek(self.as_fd(), buf)
    }

    /// How many bytes can be read at once; 0 also at the end.
    ///
    /// # Errors
    ///
    /// None that Linux is known to give for a socket that does not listen.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixStream;
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// a.write(b"hello ")?;
    /// a.write(b"world")?;
    /// assert_eq!(b.bytes_readable()?, 11);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `SIOCINQ`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    #[doc(alias = "SIOCINQ")]
    #[doc(alias = "FIONREAD")]
    #[inline]
    pub fn bytes_readable(&self) -> Result<usize, Errno> {
        queue::readable(self.as_fd())
    }
}

/// # Bytes in the queue
impl UnixSeqpacket {
    /// How many bytes all messages that can be received have together; so this is **not** the size
    /// of the next one, which [`peek`](Self::peek) tells. 0 if there are only empty ones, too.
    ///
    /// # Errors
    ///
    /// None that Linux is known to give for a socket that does not listen.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixSeqpacket;
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// a.send(b"hello")?;
    /// a.send(b"world!")?;
    /// assert_eq!(b.bytes_readable()?, 11);
    /// assert_eq!(b.peek(&mut [])?.size, 5);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `SIOCINQ`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    #[doc(alias = "SIOCINQ")]
    #[doc(alias = "FIONREAD")]
    #[inline]
    pub fn bytes_readable(&self) -> Result<usize, Errno> {
        queue::readable(self.as_fd())
    }
}

/// # Bytes in the queue
impl UnixDatagram {
    /// How many bytes the next message has; 0 if there is none, or an empty one. Unlike
    /// [`peek`](Self::peek) this never waits, and gives no error that is pending.
    ///
    /// # Errors
    ///
    /// None that Linux is known to give.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"hello")?;
    /// a.send(b"world!")?;
    /// assert_eq!(b.next_message_size()?, 5);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// `SIOCINQ`, see [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html).
    #[doc(alias = "SIOCINQ")]
    #[doc(alias = "FIONREAD")]
    #[inline]
    pub fn next_message_size(&self) -> Result<usize, Errno> {
        queue::readable(self.as_fd())
    }
}
