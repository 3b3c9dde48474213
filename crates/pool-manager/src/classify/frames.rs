//! The open parentheses and brackets of a query, as a stack of fixed size.
//!
//! Never grows and never recurses: what lies deeper than [`MAX_DEPTH`] is counted, not described,
//! and reported by [`Frames::too_deep`].

/// Deepest nesting that is looked into. Queries written by people and frameworks stay far below.
const MAX_DEPTH: usize = 128;

/// What is known of one parenthesis or bracket, and of the text at its level.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Frame {
    /// Holds names, types or type modifiers, so that nothing in it is a call.
    pub(super) names: bool,
    /// An expression may follow its end at once, as after `DISTINCT ON (…)`.
    pub(super) expression_follows: bool,
    /// Holds the arguments of `set_config`.
    pub(super) set_config: bool,
    /// At this level a list of `WITH` queries is being read.
    pub(super) with_list: bool,
    /// At this level a `GROUP BY` is being read.
    pub(super) group_by: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Frames {
    /// The statement's own level comes first.
    stack: [Frame; MAX_DEPTH],
    depth: usize,
    too_deep: bool,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self { stack: [Frame::default(); MAX_DEPTH], depth: 0, too_deep: false }
    }

    /// Number of parentheses and brackets open.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// True once something lay too deep to be looked into.
    pub(super) fn too_deep(&self) -> bool {
        self.too_deep
    }

    pub(super) fn current(&self) -> Frame {
        self.stack.get(self.depth).copied().unwrap_or_default()
    }

    /// The level being read, for changing; None below the deepest level.
    pub(super) fn current_mut(&mut self) -> Option<&mut Frame> {
        self.stack.get_mut(self.depth)
    }

    pub(super) fn open(&mut self, frame: Frame) {
        self.depth += 1;
        match self.stack.get_mut(self.depth) {
            Some(slot) => *slot = frame,
            None => self.too_deep = true,
        }
    }

    /// Leaves a level and gives its frame; None when none is open.
    pub(super) fn close(&mut self) -> Option<Frame> {
        let closed = self.current();
        self.depth = self.depth.checked_sub(1)?;
        Some(closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_beyond_the_limit_is_counted() {
        let mut frames = Frames::new();
        for _ in 0..MAX_DEPTH * 2 {
            frames.open(Frame { names: true, ..Frame::default() });
        }
        assert!(frames.too_deep());
        assert_eq!(frames.depth(), MAX_DEPTH * 2);
        for _ in 0..MAX_DEPTH * 2 {
            assert!(frames.close().is_some());
        }
        assert!(frames.close().is_none());
        assert!(frames.too_deep());
    }

    #[test]
    fn a_reopened_level_starts_afresh() {
        let mut frames = Frames::new();
        frames.open(Frame { names: true, ..Frame::default() });
        assert!(frames.close().is_some_and(|frame| frame.names));
        frames.open(Frame::default());
        assert!(!frames.current().names);
    }
}
