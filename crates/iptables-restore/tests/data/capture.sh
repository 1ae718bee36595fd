#!/bin/bash
# Makes the captured-* files in the folder given: unshare -n bash capture.sh FOLDER
# Needs root, ipset and both flavours of iptables. nft refuses the rule with a mask that is no prefix.
out=$1
for flavour in legacy nft; do
  add() { "iptables-$flavour" "$@" || echo "refused by $flavour: $*" >&2; }
  ipset create S hash:ip,port -exist
  ipset create S1 hash:ip -exist
  add -A INPUT -p tcp --dport 80 -j ACCEPT
  add -A INPUT -p tcp --sport 1024: ! --dport 80:90 -j ACCEPT
  add -A INPUT -p tcp -m tcp --syn -j ACCEPT
  add -A INPUT -p udp -m udp ! --sport 53 -j RETURN
  add -A INPUT -p sctp -m sctp --dport 5
  add -A INPUT -p tcp -m multiport --dports 80,443,1000:2000 -j REJECT
  add -A INPUT -p tcp -m multiport ! --ports 80 -j REJECT --reject-with tcp-reset
  add -A INPUT -m mark --mark 0x1 -j MARK --set-mark 5
  add -A INPUT -m mark ! --mark 0x1/0x3 -j MARK --or-mark 0x10
  add -A INPUT -m conntrack ! --ctstate ESTABLISHED,INVALID,NEW,SNAT -j MARK --and-mark 0x10
  add -A INPUT -m addrtype ! --src-type LOCAL,UNICAST --dst-type MULTICAST --limit-iface-in -j MARK --xor-mark 0x10
  add -A FORWARD -m physdev --physdev-in eth0 ! --physdev-out veth+ --physdev-is-bridged
  add -A FORWARD -m physdev ! --physdev-is-in --physdev-is-out
  add -A FORWARD -m set ! --match-set S src,dst -m set --match-set S1 src --return-nomatch -j DROP
  add -A FORWARD -s 10.1.2.3/255.0.255.0 ! -d 0.0.0.0/0
  add -A FORWARD -m comment --comment "" -s 10.1.2.3/24 -d 10.0.0.0/255.0.0.0
  add -A FORWARD ! -f -s 10.1.2.3 -i + -o lo
  add -A FORWARD -f -p icmp -m icmp --icmp-type 8
  add -A FORWARD -m limit --limit 5/min --limit-burst 7 -j LOG --log-prefix "it's a \"drop\": " --log-level 4
  add -A FORWARD -j LOG
  add -A FORWARD ! -i + -p 99
  add -A FORWARD -p 253 -m comment --comment $'new\nline\ttab'
  add -A FORWARD -m string --algo bm --string "GET /x y"
  add -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024-2048 --random --random-fully
  add -t nat -A POSTROUTING -j MASQUERADE
  add -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.1.1.1:80
  add -t raw -A PREROUTING -j NOTRACK
  add -t raw -A PREROUTING -j CT --notrack
  add -A INPUT -m iprange --src-range 10.0.0.1-10.0.0.2 -m statistic --mode random --probability 0.5 -j RETURN
  add -N FOO
  add -A INPUT -j FOO
  add -A INPUT -g FOO
  "iptables-$flavour-save" -c >"$out/captured-$flavour-1.8.9.txt"
done
ip6tables-legacy -A INPUT -s ::1.2.3.4 -d ::ffff:1.2.3.4/128 -p icmpv6 -j REJECT
ip6tables-legacy -A INPUT -s fe80::/10 -d 2001:db8:0:1:1:1:1:1 -p mh
ip6tables-legacy -A INPUT -s 1::5/1::ff -d 2001:db8:0:0:1:0:0:1
ip6tables-legacy-save >"$out/captured-legacy-1.8.9.ip6tables.txt"
