//! Whether a message was used before.

/// What is known of the use of a message's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever asks has to have an answer for each")]
pub enum MessageUse {
    /// It was not used within the window. Of many who ask at once, one gets this.
    First,
    /// It was used within the window.
    Again,
    /// Nobody can tell: `messages_max` others are kept in mind, and this one is not, now or later.
    /// Whoever refuses what comes again has to refuse it.
    Unknown,
}
