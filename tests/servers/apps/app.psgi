# A PSGI application: greets, and takes N milliseconds at /sleep/N. A signal interrupts perl's sleep, hence the loop.
use Time::HiRes qw(sleep time);

sub {
    my ($env) = @_;
    if ($env->{PATH_INFO} =~ m{^/sleep/(\d+)}) {
        my $end = time + $1 / 1000;
        while ((my $left = $end - time) > 0) { sleep $left }
    }
    my $body = "Hello, world " . ($ENV{ENDLESS_GENERATION} // 0) . " $$!\n";
    [200, ['Content-Type' => 'text/plain', 'Content-Length' => length $body], [$body]];
};
