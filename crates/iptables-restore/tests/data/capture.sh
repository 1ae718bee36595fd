for fl in legacy nft; do
ipt=iptables-$fl; 
ipset create S hash:ip,port -exist; ipset create S1 hash:ip -exist
a(){ $ipt "$@" || echo "FAIL $*"; }
a -A INPUT -p tcp --dport 80 -j ACCEPT
a -A INPUT -p tcp --sport 1024: ! --dport 80:90 -j ACCEPT
a -A INPUT -p tcp -m tcp --syn -j ACCEPT
a -A INPUT -p udp -m udp ! --sport 53 -j RETURN
a -A INPUT -p sctp -m sctp --dport 5
a -A INPUT -p tcp -m multiport --dports 80,443,1000:2000 -j REJECT
a -A INPUT -p tcp -m multiport ! --ports 80 -j REJECT --reject-with tcp-reset
a -A INPUT -m mark --mark 0x1 -j MARK --set-mark 5
a -A INPUT -m mark ! --mark 0x1/0x3 -j MARK --or-mark 0x10
a -A INPUT -m conntrack ! --ctstate ESTABLISHED,INVALID,NEW,SNAT -j MARK --and-mark 0x10
a -A INPUT -m addrtype ! --src-type LOCAL,UNICAST --dst-type MULTICAST --limit-iface-in -j MARK --xor-mark 0x10
a -A FORWARD -m physdev --physdev-in eth0 ! --physdev-out veth+ --physdev-is-bridged
a -A FORWARD -m physdev ! --physdev-is-in --physdev-is-out
a -A FORWARD -m set ! --match-set S src,dst -m set --match-set S1 src --return-nomatch -j DROP
a -A FORWARD -s 10.1.2.3/255.0.255.0 ! -d 0.0.0.0/0; a -A FORWARD -m comment --comment "" -s 10.1.2.3/24 -d 10.0.0.0/255.0.0.0
a -A FORWARD ! -f -s 10.1.2.3 -i + -o lo
a -A FORWARD -f -p icmp -m icmp --icmp-type 8
a -A FORWARD -m limit --limit 5/min --limit-burst 7 -j LOG --log-prefix "it's a \"drop\": " --log-level 4
a -A FORWARD -j LOG
a -A FORWARD ! -i + -p 99 
a -A FORWARD  -p 253 -m comment --comment $'new\nline\ttab'
a -A FORWARD -m string --algo bm --string "GET /x y" 
a -t nat -A POSTROUTING -p tcp -j MASQUERADE --to-ports 1024-2048 --random --random-fully
a -t nat -A POSTROUTING -j MASQUERADE
a -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.1.1.1:80
a -t raw -A PREROUTING -j NOTRACK
a -t raw -A PREROUTING -j CT --notrack
a -A INPUT -m iprange --src-range 10.0.0.1-10.0.0.2 -m statistic --mode random --probability 0.5 -j RETURN
a -N FOO; a -A INPUT -j FOO; a -A INPUT -g FOO
$ipt-save -c > /tmp/save-$fl.txt; done
ip6tables-legacy -A INPUT -s ::1.2.3.4 -d ::ffff:1.2.3.4/128 -p icmpv6 -j REJECT
ip6tables-legacy -A INPUT -s fe80::/10 -d 2001:db8:0:1:1:1:1:1 -p mh
ip6tables-legacy -A INPUT -s 1::5/1::ff -d 2001:db8:0:0:1:0:0:1 
ip6tables-legacy-save > /tmp/save6-legacy.txt
