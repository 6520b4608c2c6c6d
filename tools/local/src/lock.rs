//! Locks on parts of the installation: nobody else changes a part that is locked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::rc::{Rc, Weak};

use crate::failure::{Context as _, Outcome};
use crate::say::Screen;

/// A part is locked for as long as this lives. The kernel lets go of it when the process ends; a
/// program that is started meanwhile does not inherit it.
#[derive(Clone, Debug)]
pub struct Lock {
    _file: Rc<File>,
}

/// The locks that this process holds.
#[derive(Debug, Default)]
pub struct Locks {
    held: RefCell<BTreeMap<String, Weak<File>>>,
}

impl Locks {
    /// Locks a part. A wait is told. A part that this process has locked already is locked until
    /// the last of its locks goes.
    pub fn take(&self, folder: &Path, name: &str, screen: &Screen) -> Outcome<Lock> {
        if let Some(file) = self.held.borrow().get(name).and_then(Weak::upgrade) {
            return Ok(Lock { _file: file });
        }
        let path = folder.join(name);
        let opening = || format!("opening {}", path.display());
        // Not emptied and not written to: the file is a name and nothing else.
        let file = File::options().create(true).append(true).open(&path).context(opening())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                screen.note(format!("waiting for another make that is at work on {name}"));
                file.lock().context(format!("locking {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context(format!("locking {}", path.display()));
            }
        }
        let file = Rc::new(file);
        self.held.borrow_mut().insert(name.to_owned(), Rc::downgrade(&file));
        Ok(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_taken_twice_by_its_owner_and_by_nobody_else() {
        let folder = std::env::temp_dir().join(format!("tpro-local-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let screen = Screen::new(|_| None);
        let locks = Locks::default();
        let first = locks.take(&folder, "nats", &screen).unwrap();
        let second = locks.take(&folder, "nats", &screen).unwrap();
        let other = File::options().append(true).open(folder.join("nats")).unwrap();
        drop(first);
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(second);
        other.try_lock().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
