//! Every mistake that a compiler can see is told at its place, with the fix. The texts beside the cases are golden.

#[test]
fn mistakes_are_told_at_their_place_with_the_fix() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/pass/*.rs");
    cases.compile_fail("tests/fail/*.rs");
}
