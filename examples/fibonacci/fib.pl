# SPDX-License-Identifier: Apache-2.0
#
# A Fibonacci number, the slow way: something for a computer to do.
use strict;
use warnings;

sub fib {
  my ($n) = @_;
  return $n < 2 ? $n : fib($n - 1) + fib($n - 2);
}

print fib($ARGV[0]), "\n";
