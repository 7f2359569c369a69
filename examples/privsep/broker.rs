//! The side that opens files for a worker that it does not trust: made to be taken along.
//!
//! The worker sends messages of one byte and a text: `G` and a name, to get that file, and `R` and a
//! report. Only `G` is answered: by `F` with a descriptor, or by `E` with the reason why not. It asks
//! one thing at a time.
//!
//! Whatever it sends, the broker
//!
//! - opens nothing but regular files, to be read, and only in one folder: no `/`, no `..`, and no
//!   symbolic link. (A hard link is the file itself. Who may make some there chooses what is opened, as
//!   far as the kernel lets him: `fs.protected_hardlinks`.);
//! - waits for nothing: not at a pipe that it opens, nor for a worker that does not take its answers, and for
//!   a message as long as the socket's time limit says;
//! - keeps nothing: the descriptors that it opens are closed here once they are sent, those that it is
//!   sent are closed as they come, and there is a limit to how many messages it reads.

use std::fmt::Display;
use std::io;

use afunix::{
    AncillaryBuf, AsFd, Errno, IoSlice, IoSliceMut, OwnedFd, RecvError, RecvOptions, SendError,
    SendOptions, Space, Uid, UnixSeqpacket,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

/// The most bytes of a name, as file systems have it.
pub const NAME_MAX: usize = 255;
/// The most bytes of a report.
pub const REPORT_MAX: usize = 512;

/// Room for who sends, and for no descriptor.
const SPACE: usize = Space::new().credentials().bytes();
/// Room for the one descriptor of an answer.
const FD_SPACE: usize = Space::new().rights::<1>().bytes();

pub struct Broker<'a> {
    /// The end of a pair, which asks for credentials and has a time limit for reading.
    pub socket: &'a UnixSeqpacket,
    /// What is opened is in this folder.
    pub folder: &'a OwnedFd,
    /// As whom the worker must run.
    pub worker: Uid,
    /// How many messages are read of it.
    pub messages_max: usize,
}

impl Broker<'_> {
    /// Serves the worker until it leaves. With an error it is better ended: it is not what it should
    /// be.
    pub fn serve(&self, mut report: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        let mut left = self.messages_max;
        let mut buf = [0; 1 + REPORT_MAX];
        loop {
            let Some((message, is_whole)) = self.receive(&mut buf)? else { return Ok(()) };
            left = left.checked_sub(1).ok_or("the worker says too much")?;
            match message {
                [b'G', name @ ..] => match self.open(if is_whole { name } else { &[0; 256] }) {
                    Ok(file) => self.answer(b"F", Some(&file))?,
                    Err(reason) => self.answer(format!("E{reason}").as_bytes(), None)?,
                },
                [b'R', text @ ..] if is_whole => report(text)?,
                [b'R', ..] => return Err("the worker reports too much at once".to_string()),
                _ => return Err("the worker says what has no meaning".to_string()),
            }
        }
    }

    /// Receives a message, and whether that is all of it; none where the worker has left.
    fn receive<'b>(&self, buf: &'b mut [u8]) -> Result<Option<(&'b [u8], bool)>, String> {
        let (received, who, uninvited) = loop {
            let mut control = AncillaryBuf::<SPACE>::new();
            // Else a message with descriptors would be an error, and nothing known of its sender.
            let options = RecvOptions::new().lossy();
            match self.socket.recv_with(&mut [IoSliceMut::new(buf)], &mut control, options) {
                // Descriptors that came are closed with `ancillary`.
                Ok((received, ancillary)) => {
                    let lost = ancillary.truncation().is_some();
                    let uninvited = lost || ancillary.fds().next().is_some();
                    break (received, ancillary.credentials(), uninvited);
                }
                Err(RecvError::Kernel(Errno::INTR)) => {}
                // It left, with an answer unread.
                Err(RecvError::Kernel(Errno::CONNRESET)) => return Ok(None),
                Err(RecvError::Kernel(Errno::AGAIN)) => {
                    return Err("the worker says nothing".to_string());
                }
                Err(RecvError::Kernel(errno)) => return Err(cannot("receive")(errno)),
                Err(error) => return Err(error.to_string()),
            }
        };
        if received.size == 0 {
            return Ok(None);
        }
        let who = who.ok_or("nobody knows who sent this")?;
        // The rights that it has now: at the start the worker had ours.
        who.require_user(self.worker)
            .map_err(|refused| format!("the worker has not dropped its rights: {refused}"))?;
        if uninvited {
            return Err("the worker sends descriptors".to_string());
        }
        Ok(Some((&buf[..received.bytes], !received.is_truncated())))
    }

    /// Opens a file of the folder to be read, or says why not.
    fn open(&self, name: &[u8]) -> Result<OwnedFd, String> {
        match name {
            _ if name.len() > NAME_MAX => return Err("the name is too long".to_string()),
            b"" | b"." | b".." => return Err("this is not the name of a file".to_string()),
            _ if name.contains(&b'/') || name.contains(&0) => {
                return Err("a name has no `/` and no NUL".to_string());
            }
            _ => {}
        }
        // There is one component, so this is about all symbolic links. A pipe or a terminal is opened
        // without waiting, and without becoming ours.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file =
            openat(self.folder, name, flags, Mode::empty()).map_err(|errno| match errno {
                Errno::LOOP => "it is a symbolic link".to_string(),
                // A socket; or a device that is not there.
                Errno::NXIO => "it is no regular file".to_string(),
                errno => cannot("open it")(errno),
            })?;
        // What was opened is asked, and not the name, which may be another's by now.
        let stat = fstat(&file).map_err(cannot("look at it"))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(file),
            _ => Err("it is no regular file".to_string()),
        }
    }

    /// Answers, but does not wait for room: one that asks one thing at a time always has some.
    fn answer(&self, text: &[u8], file: Option<&OwnedFd>) -> Result<(), String> {
        let mut control = AncillaryBuf::<FD_SPACE>::new();
        let mut writer = control.writer();
        if let Some(file) = file {
            writer.push_fds(&[file.as_fd()]).map_err(|error| error.to_string())?;
        }
        loop {
            let options = SendOptions::new().nonblocking();
            match self.socket.send_with(&[IoSlice::new(text)], &writer, options) {
                Ok(_) => return Ok(()),
                Err(SendError::Kernel(Errno::INTR)) => {}
                // It left; the next receive says so.
                Err(SendError::Kernel(Errno::PIPE | Errno::CONNRESET)) => return Ok(()),
                Err(SendError::Kernel(Errno::AGAIN)) => {
                    return Err("the worker does not take its answers".to_string());
                }
                Err(SendError::Kernel(errno)) => return Err(cannot("answer")(errno)),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Says what failed and why in words: without `std` an `Errno` knows its number only.
fn cannot(what: impl Display) -> impl FnOnce(Errno) -> String {
    move |errno| format!("cannot {what}: {}", io::Error::from_raw_os_error(errno.raw_os_error()))
}
