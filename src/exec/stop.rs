//! Asking a run to end early: the user does, or whoever sees that a change has made it moot.

use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a run and those who may end it; serves one run after another.
#[derive(Debug, Default)]
pub struct Stop {
    /// What running stages look at.
    cancelled: AtomicBool,
    interrupted: AtomicBool,
    superseded: AtomicBool,
}

impl Stop {
    /// The user asks to stop; gives whether that was so before.
    pub fn interrupt(&self) -> bool {
        let before = self.interrupted.swap(true, Ordering::SeqCst);
        self.cancelled.store(true, Ordering::SeqCst);
        before
    }

    /// Whether the user has asked to stop.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Another run is to follow: what runs may finish, nothing else begins.
    pub fn supersede(&self) {
        self.superseded.store(true, Ordering::SeqCst);
    }

    /// As [`Self::supersede`], and what runs stops.
    pub fn cut(&self) {
        self.supersede();
        self.cancelled.store(true, Ordering::SeqCst);
    }

    /// For the next run. What the user asked for stays.
    pub fn renew(&self) {
        self.superseded.store(false, Ordering::SeqCst);
        self.cancelled.store(false, Ordering::SeqCst);
        // A Ctrl-C between the two lines is not lost: it sets its own flag first.
        self.cancelled.fetch_or(self.is_interrupted(), Ordering::SeqCst);
    }

    /// Whether another run is to follow; what the user asks for comes first.
    pub(super) fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::SeqCst) && !self.is_interrupted()
    }

    /// What running stages look at.
    pub fn cancelled(&self) -> &AtomicBool {
        &self.cancelled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_asked_for_outlasts_the_run() {
        let stop = Stop::default();
        stop.cut();
        assert!(stop.is_superseded() && stop.cancelled().load(Ordering::SeqCst));
        stop.renew();
        assert!(!stop.is_superseded() && !stop.cancelled().load(Ordering::SeqCst));
        assert!(!stop.interrupt());
        stop.supersede();
        assert!(!stop.is_superseded(), "the user comes first");
        stop.renew();
        assert!(stop.cancelled().load(Ordering::SeqCst) && stop.interrupt());
    }
}
