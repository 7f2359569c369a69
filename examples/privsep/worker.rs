//! The side without rights, which looks into the files.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;

use afunix::{Errno, FromRawFd, IntoRawFd, OwnedFd, RecvError, UnixSeqpacket};

use super::broker::REPORT_MAX;
use super::cannot;

/// What no file should have in it; it stands for the signatures of a real scanner.
const MARKER: &[u8] = b"THIS-STANDS-FOR-A-VIRUS";
/// No more is looked at of a file: one that grows has no end.
const SCAN_MAX: u64 = 64 << 20;

/// `UID BROKER DIRECTORY NAME...`, with the socket as standard input.
pub fn main(args: &[OsString]) -> Result<(), String> {
    let [user, broker, directory, names @ ..] = args else {
        return Err("a worker is started by its broker".to_string());
    };
    if user != "-" {
        let user = user.to_str().and_then(|text| text.parse().ok()).ok_or("bad user")?;
        drop_rights(user).map_err(|error| format!("cannot drop the rights: {error}"))?;
    }
    let broker = broker.to_str().and_then(|text| text.parse().ok()).ok_or("bad number")?;
    // After the drop, which takes it back.
    end_with(broker).map_err(|error| format!("cannot stay with the broker: {error}"))?;
    // SAFETY: it is open, or else the next line says so; and nothing else here reads standard input.
    let stdin = unsafe { OwnedFd::from_raw_fd(0) };
    let socket = UnixSeqpacket::try_from(stdin)
        .map_err(|error| format!("a worker is started by its broker: {}", error.reason()))?;
    Worker { socket }.work(directory, names)
}

/// Becomes the user and the group `id`, with no other group, for good.
fn drop_rights(id: u32) -> io::Result<()> {
    // The user is last: the others take its rights.
    // SAFETY: numbers alone, and a null pointer to no groups.
    let failed = unsafe {
        libc::setgroups(0, ptr::null()) != 0
            || libc::setresgid(id, id, id) != 0
            || libc::setresuid(id, id, id) != 0
            || libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers alone.
    if unsafe { libc::setresuid(0, 0, 0) } == 0 {
        return Err(io::Error::other("they came back"));
    }
    Ok(())
}

/// Has the kernel end this process when the broker ends, however much it has to do just then.
fn end_with(broker: libc::pid_t) -> io::Result<()> {
    // SAFETY: numbers alone.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it cannot fail.
    if unsafe { libc::getppid() } != broker {
        return Err(io::Error::other("it has ended already"));
    }
    Ok(())
}

struct Worker {
    socket: UnixSeqpacket,
}

impl Worker {
    fn work(&self, directory: &OsStr, names: &[OsString]) -> Result<(), String> {
        // SAFETY: they cannot fail.
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        self.report(format!("runs as uid {uid}, gid {gid}").as_bytes())?;
        for name in names {
            // The broker, which does not trust it anyway, makes it fit to be seen.
            let of = |text: String| [name.as_bytes(), b": ", text.as_bytes()].concat();
            // What it is all about. Without this flag a pipe would make it wait.
            let opened = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(Path::new(directory).join(name));
            let alone = match opened {
                Ok(_) => "it could have opened this by itself".to_string(),
                Err(error) => format!("cannot open it by itself: {error}"),
            };
            self.report(&of(alone))?;
            let found = match self.ask(name.as_bytes())? {
                Ok(file) => scan(file).unwrap_or_else(|error| format!("cannot read it: {error}")),
                Err(reason) => format!("refused: {reason}"),
            };
            self.report(&of(found))?;
        }
        Ok(())
    }

    fn report(&self, text: &[u8]) -> Result<(), String> {
        self.send(&[b"R", &text[..text.len().min(REPORT_MAX)]].concat())
    }

    /// The file, or why there is none.
    fn ask(&self, name: &[u8]) -> Result<Result<File, String>, String> {
        self.send(&[b"G", name].concat())?;
        let mut buf = [0; 256];
        let (received, fds) = loop {
            match self.socket.recv_fds::<1>(&mut buf) {
                Ok(answer) => break answer,
                Err(RecvError::Kernel(Errno::INTR)) => {}
                Err(RecvError::Kernel(Errno::CONNRESET)) => {
                    return Err("the broker has left".to_string());
                }
                Err(RecvError::Kernel(errno)) => return Err(cannot("receive")(errno)),
                Err(error) => return Err(error.to_string()),
            }
        };
        match (&buf[..received.bytes], fds.into_iter().next()) {
            ([], _) => Err("the broker has left".to_string()),
            // SAFETY: the number is that of an open descriptor, which was given away for this alone.
            // (With the feature `std` this is `File::from(fd)`.)
            (b"F", Some(fd)) => {
                Ok(Ok(unsafe { <File as fd::FromRawFd>::from_raw_fd(fd.into_raw_fd()) }))
            }
            ([b'E', reason @ ..], _) => Ok(Err(String::from_utf8_lossy(reason).into_owned())),
            _ => Err("the broker says what has no meaning".to_string()),
        }
    }

    fn send(&self, message: &[u8]) -> Result<(), String> {
        loop {
            match self.socket.send(message) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err("the broker has left".into()),
                Err(errno) => return Err(cannot("send")(errno)),
            }
        }
    }
}

/// Looks for the marker, which may lie across the pieces that are read.
fn scan(file: File) -> io::Result<String> {
    let mut file = file.take(SCAN_MAX);
    let mut buf = vec![0; 64 * 1024];
    let (mut kept, mut total, mut found) = (0, 0_u64, false);
    loop {
        let count = match file.read(&mut buf[kept..]) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total += count as u64;
        let end = kept + count;
        found = found || buf[..end].windows(MARKER.len()).any(|part| part == MARKER);
        // The beginning of one may be at the end.
        kept = end.min(MARKER.len() - 1);
        buf.copy_within(end - kept..end, 0);
    }
    let verdict = if found { "has the marker" } else { "clean" };
    Ok(format!("{total} bytes, {verdict}"))
}
