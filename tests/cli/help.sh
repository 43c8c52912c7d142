# SPDX-License-Identifier: MIT
# The general help and that of every command.
try ntk --help
try ntk --version
for command in $(ntk --help | sed -n 's/^    \([a-z]*\) .*/\1/p'); do
    try ntk $command --help
done
