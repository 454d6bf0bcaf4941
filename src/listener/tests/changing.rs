use super::*;

#[test]
fn a_plan_that_is_read_again_finds_each_listener_where_it_was() {
    let specs = [tcp("127.0.0.1:0"), tcp("127.0.0.1:0"), udp("127.0.0.1:0")];
    let (mut listeners, _) = Listeners::bind(&specs, &[]).unwrap();
    listeners.make_seats(ONE).unwrap();
    let places = |listeners: &Listeners| -> Vec<_> { listeners.addresses().map(|one| one.address.clone()).collect() };
    let before = places(&listeners);
    listeners.change(&specs, &[]).unwrap();
    assert_eq!(places(&listeners), before);
    let turned = [specs[2].clone(), specs[0].clone()];
    let (change, _) = listeners.change(&turned, &[]).unwrap();
    assert_eq!(places(&listeners), [before[2].clone(), before[0].clone()]);
    listeners.undo(change);
    assert_eq!(places(&listeners), before);
}
