# What Debian's service makes before it starts sshd, and a key to be known by.
mkdir -p -m 0755 /run/sshd
ssh-keygen -q -t ed25519 -N '' -f host_key
