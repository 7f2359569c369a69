//! A folder where sockets are made, and what is in it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use afunix::{OwnedFd, UnixListener};
use rustix::fs::{Mode, OFlags, fstat, open};

use crate::common::{TempDir, addr, close};

/// The name that the sockets are to have, and the one that they have on their way.
pub const NAME: &str = "control";
pub const TEMPORARY: &str = ".control.afunix";

/// Which file: its device and inode.
pub type Node = (u64, u64);

/// A folder for sockets; and one aside, where others have what they put there, and move the folder to.
pub struct World {
    base: TempDir,
}

impl World {
    pub fn new() -> Self {
        let world = Self { base: TempDir::new() };
        fs::create_dir(world.folder()).unwrap();
        fs::create_dir(world.base.join("aside")).unwrap();
        world
    }

    pub fn folder(&self) -> PathBuf {
        self.base.join("run")
    }

    /// Where the folder is once it was moved.
    pub fn moved(&self) -> PathBuf {
        self.base.join("aside/moved")
    }

    pub fn aside(&self, name: &str) -> PathBuf {
        self.base.join("aside").join(name)
    }

    pub fn path(&self) -> PathBuf {
        self.folder().join(NAME)
    }

    /// The path as the crate takes it.
    pub fn bytes(&self) -> Vec<u8> {
        self.path().as_os_str().as_bytes().to_vec()
    }

    /// What is in the folder, with what it is.
    pub fn entries(&self) -> Vec<(String, Node)> {
        entries(&self.folder())
    }

    /// A socket that nobody has, at the name.
    pub fn stale(&self) -> Node {
        close(UnixListener::bind(&addr(self.path())).unwrap());
        node(&self.path()).unwrap()
    }

    /// A server, at the name.
    pub fn live(&self) -> (UnixListener, Node) {
        let listener = UnixListener::bind(&addr(self.path())).unwrap();
        listener.set_nonblocking(true).unwrap();
        (listener, node(&self.path()).unwrap())
    }
}

/// What is in a folder, or nothing if it is not there.
pub fn entries(folder: &Path) -> Vec<(String, Node)> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let found = files.map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = found.map(|path| (name(&path), node(&path).unwrap())).collect();
    found.sort();
    found
}

/// What a path leads to, a symbolic link itself.
pub fn node(path: &Path) -> Option<Node> {
    let found = path.symlink_metadata().ok()?;
    Some((found.dev(), found.ino()))
}

pub fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_socket())
}

/// A file that is held, so that its inode stays its own, and by which it can be asked whether it still has
/// a name.
pub struct Held {
    file: OwnedFd,
    pub node: Node,
}

impl Held {
    pub fn new(path: &Path) -> Self {
        // Not by std: of musl's flags it takes this one away.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = open(path.to_str().unwrap(), flags, Mode::empty()).unwrap();
        Self { file, node: node(path).unwrap() }
    }

    /// Whether some name leads to it.
    pub fn is_there(&self) -> bool {
        fstat(&self.file).unwrap().st_nlink > 0
    }
}
