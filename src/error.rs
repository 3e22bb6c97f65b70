//! The sum of the layers' errors, and the kind that front ends branch on.
