# SPDX-License-Identifier: MIT
# The general help and that of every command.
try ntk --help
try ntk --version
for command in demo kernel eval fit predict dynamics layers net nets bench info; do
    try ntk $command --help
done
