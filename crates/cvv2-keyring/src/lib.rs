//! Card verification keys of an issuer: one file of key blocks, and which key computes for a card.
